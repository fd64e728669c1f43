//! The stages of the tick by their share of the server's time, and what each spends its own on.

use std::collections::HashMap;

use super::stacks::Stack;
use crate::compare::table::Table;

/// Smaller stages are not shown, and smaller functions; in percent of all.
const STAGE_MIN_PERCENT: f64 = 0.2;
const FUNCTION_MIN_PERCENT: f64 = 1.0;
const OUTSIDE: &str = "outside of ticks";

/// The largest stage first.
pub fn of(stacks: &[Stack]) -> Table {
    let mut table =
        Table::new(["stage", "share", "in the kernel", "own time of its functions"].map(String::from).into());
    let percent = |count: usize| count as f64 * 100.0 / stacks.len() as f64;
    let stages = grouped(stacks.iter(), |stack| stack.stage().unwrap_or(OUTSIDE).to_owned());
    for (stage, members) in stages.into_iter().filter(|(_, members)| percent(members.len()) >= STAGE_MIN_PERCENT) {
        let owners = grouped(members.iter().copied(), |stack| stack.owner());
        let shares = owners.into_iter().map(|(owner, of)| (owner, percent(of.len())));
        let shown = shares.filter(|(_, share)| *share >= FUNCTION_MIN_PERCENT);
        let words: Vec<String> = shown.map(|(owner, share)| format!("`{owner}` {share:.1} %")).collect();
        let in_kernel = members.iter().filter(|stack| stack.is_in_kernel()).count();
        table.push(vec![
            stage,
            format!("{:.1} %", percent(members.len())),
            format!("{:.1} %", percent(in_kernel)),
            words.join(", "),
        ]);
    }
    table
}

/// The largest group first; groups of one size by name.
fn grouped<'a>(
    stacks: impl Iterator<Item = &'a Stack>,
    name: impl Fn(&Stack) -> String,
) -> Vec<(String, Vec<&'a Stack>)> {
    let mut groups: HashMap<String, Vec<&Stack>> = HashMap::new();
    for stack in stacks {
        groups.entry(name(stack)).or_default().push(stack);
    }
    let mut sorted: Vec<_> = groups.into_iter().collect();
    sorted.sort_by(|(a_name, a), (b_name, b)| b.len().cmp(&a.len()).then_with(|| a_name.cmp(b_name)));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stage_comes_first() {
        let stacks = ["tick;read;parse", "tick;drain;write_[k]", "tick;drain;write_[k]", "main"].map(Stack::of_frames);
        assert_eq!(
            of(&stacks).text(),
            "stage             share   in the kernel  own time of its functions\n\
             drain             50.0 %  50.0 %         `kernel: write` 50.0 %\n\
             outside of ticks  25.0 %  0.0 %          `main` 25.0 %\n\
             read              25.0 %  0.0 %          `parse` 25.0 %\n"
        );
    }
}
