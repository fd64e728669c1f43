//! Recorded stacks: from the text of `perf` to functions, the outermost first.
//!
//! What the loop does begins at its tick: the frames before it are left out, and the first one is the stage. Other threads
//! keep all of theirs.

use super::symbols::Symbols;

/// Marks a function of the kernel, one that is inlined; the picture gives each its colour.
const KERNEL_MARK: &str = "_[k]";
const INLINED_MARK: &str = "_[i]";
/// The tick, and what stands between it and its stages.
const TICK: &str = "tick";
const GLUE: [&str; 2] = ["stage", "end"];

/// One look at a thread.
#[derive(Debug, PartialEq, Eq)]
pub struct Stack {
    thread: String,
    /// The outermost first.
    frames: Vec<String>,
}

impl Stack {
    /// The stage of the tick, or the tick for what belongs to none; `None` outside of ticks.
    pub fn stage(&self) -> Option<&str> {
        self.frames.first().filter(|frame| *frame == TICK)?;
        self.frames.get(1).or(self.frames.first()).map(|frame| last_segment(frame))
    }

    pub fn is_in_kernel(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.ends_with(KERNEL_MARK))
    }

    /// The function whose own time it is: the innermost, or the system call that it waits in or works in.
    pub fn owner(&self) -> String {
        let mut in_kernel = self.frames.iter().filter_map(|frame| frame.strip_suffix(KERNEL_MARK)).peekable();
        let Some(entry) = in_kernel.peek().copied() else {
            let last = self.frames.last().map_or("[unknown]", String::as_str);
            return last.strip_suffix(INLINED_MARK).unwrap_or(last).into();
        };
        let call = in_kernel.find_map(|name| name.strip_prefix("__x64_sys_"));
        format!("kernel: {}", call.unwrap_or(entry))
    }

    /// Of frames that are joined by semicolons.
    #[cfg(test)]
    pub fn of_frames(frames: &str) -> Self {
        Self { thread: "hashi".into(), frames: frames.split(';').map(str::to_owned).collect() }
    }

    /// In the form of `flamegraph.pl`.
    pub fn folded(&self) -> String {
        format!("{};{} 1", self.thread, self.frames.join(";"))
    }
}

/// Reads all stacks.
pub fn parse(text: &str, symbols: &Symbols) -> Vec<Stack> {
    let looks = text.split("\n\n").map(str::trim).filter(|look| !look.is_empty());
    looks.map(|look| parse_one(look, symbols)).collect()
}

fn parse_one(look: &str, symbols: &Symbols) -> Stack {
    let mut lines = look.lines();
    let thread = lines.next().unwrap_or_default().trim().to_owned();
    let mut frames: Vec<String> =
        lines.enumerate().flat_map(|(depth, line)| functions(line, depth == 0, symbols)).collect();
    frames.reverse();
    Stack { thread, frames: from_tick(frames) }
}

/// The functions of one line, `address name (program)`, the innermost first.
fn functions(line: &str, is_innermost: bool, symbols: &Symbols) -> Vec<String> {
    let Some((address, name, program)) = parse_line(line) else {
        return Vec::new();
    };
    let name = without_generics(name);
    if program.starts_with("[kernel") {
        return vec![name + KERNEL_MARK];
    }
    if symbols.program.as_os_str() != program {
        return vec![name];
    }
    // All but the innermost are where a call returns to, which may belong to the next line already.
    let inlined = symbols.inlined(if is_innermost { address } else { address - 1 });
    inlined.iter().map(|name| without_generics(name) + INLINED_MARK).chain([name]).collect()
}

fn parse_line(line: &str) -> Option<(u64, &str, &str)> {
    let (address, rest) = line.trim().split_once(' ')?;
    let (name, program) = rest.rsplit_once(" (")?;
    Some((u64::from_str_radix(address, 16).ok()?, name, program.strip_suffix(')')?))
}

/// `read<A, B<C>>` is `read`. What stands for a type itself stays: `<A as B>::read`.
fn without_generics(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let (mut depth, mut before) = (0, ' ');
    for letter in name.chars() {
        let opens = letter == '<' && (depth > 0 || before.is_alphanumeric() || before == '_');
        let closes = letter == '>' && depth > 0 && before != '-'; // no arrow
        depth += usize::from(opens);
        if depth == 0 {
            out.push(letter);
        }
        depth -= usize::from(closes);
        before = letter;
    }
    out
}

/// From the tick on, if there is one.
fn from_tick(frames: Vec<String>) -> Vec<String> {
    let Some(at) = frames.iter().position(|frame| last_segment(frame) == TICK) else {
        return frames;
    };
    let stages = frames.into_iter().skip(at + 1).skip_while(|frame| GLUE.contains(&last_segment(frame)));
    std::iter::once(TICK.to_owned()).chain(stages).collect()
}

/// A function's name without its path.
fn last_segment(frame: &str) -> &str {
    let name = frame.strip_suffix(INLINED_MARK).unwrap_or(frame);
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `perf` prints them; the programs are not the one whose symbols are known.
    const LOOKS: &str = "hashi \n\tffffffff82008e25 tcp_sendmsg ([kernel.kallsyms])\n\
        \tffffffff81e2f330 __x64_sys_sendto ([kernel.kallsyms])\n\
        \tffffffff81000130 entry_SYSCALL_64_after_hwframe ([kernel.kallsyms])\n\t10aba4 __send (/lib/libc.so.6)\n\
        \t1a2ec4 hashi::reactor::drain::<impl hashi::reactor::Reactor<N,C>>::drain (/other)\n\
        \t1a2ec0 hashi::reactor::Reactor<N,C>::stage (/other)\n\t19b48c hashi::reactor::Reactor<N,C>::tick (/other)\n\
        \t194 hashi::main (/other)\n\nhashi-worker-1 \n\t10ab __futex_wait (/lib/libc.so.6)\n\t1 [unknown] ([unknown])\n\n";

    fn parsed() -> Vec<Stack> {
        parse(LOOKS, &Symbols::of(&std::env::current_exe().unwrap()).unwrap())
    }

    #[test]
    fn a_stack_begins_at_its_tick() {
        let [first, second] = &parsed()[..] else { panic!("two looks") };
        assert_eq!(
            first.folded(),
            "hashi;tick;hashi::reactor::drain::<impl hashi::reactor::Reactor>::drain;__send;\
             entry_SYSCALL_64_after_hwframe_[k];__x64_sys_sendto_[k];tcp_sendmsg_[k] 1"
        );
        assert_eq!((first.stage(), first.is_in_kernel()), (Some("drain"), true));
        assert_eq!(second.folded(), "hashi-worker-1;[unknown];__futex_wait 1");
        assert_eq!((second.stage(), second.is_in_kernel()), (None, false));
    }

    #[test]
    fn time_belongs_to_a_function_or_a_system_call() {
        let owners: Vec<String> = parsed().iter().map(Stack::owner).collect();
        assert_eq!(owners, ["kernel: sendto", "__futex_wait"]);
    }

    #[test]
    fn generics_are_left_out() {
        assert_eq!(without_generics("read<A, fn(&B<C>) -> D>::{closure#0}"), "read::{closure#0}");
        assert_eq!(without_generics("<A<T> as B>::write<T>"), "<A as B>::write");
    }
}
