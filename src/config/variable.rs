//! What a variable is: the kinds of values, and how one is read into its field, shown and described.

use std::ops::RangeInclusive;

use super::{Config, rules};

/// One row of the table.
#[derive(Debug)]
pub struct Variable {
    /// Its name in the environment; the flag is made from it, see [`Variable::flag`].
    pub name: &'static str,
    /// Under which heading it is shown.
    pub group: Group,
    /// What its values are and where they go.
    pub kind: Kind,
    /// Its value when it is not set.
    pub initial: Initial,
    /// Sentences for `hashi --help` and the documentation.
    pub help: &'static str,
}

/// The headings of the help, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the server listens.
    Listening,
    /// Who may connect.
    Access,
    /// Connections and their time limits.
    Connections,
    /// Messages and their queues.
    Messages,
    /// Sessions.
    Sessions,
    /// Handlers and their threads.
    Handlers,
    /// The process as a whole.
    Process,
}

impl Group {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Listening => "Listening",
            Group::Access => "Access",
            Group::Connections => "Connections",
            Group::Messages => "Messages and queues",
            Group::Sessions => "Sessions",
            Group::Handlers => "Handlers",
            Group::Process => "Process",
        }
    }
}

/// What the values of a variable are, and the field that they go to.
#[derive(Debug)]
pub enum Kind {
    /// A whole number in a range, both ends included.
    Number(Unit, RangeInclusive<u64>, NumberField),
    /// The path of a route.
    Path(fn(&mut Config) -> &mut String),
    /// The path of a route that need not be there.
    OptionalPath(fn(&mut Config) -> &mut Option<String>),
    /// A host to listen on.
    Host(fn(&mut Config) -> &mut String),
    /// Origins, with commas between them.
    Origins(fn(&mut Config) -> &mut Vec<String>),
    /// On or off.
    Switch(fn(&mut Config) -> &mut bool),
}

/// The field of a number, by its width.
#[derive(Debug)]
pub enum NumberField {
    /// 16 bits.
    U16(fn(&mut Config) -> &mut u16),
    /// 32 bits.
    U32(fn(&mut Config) -> &mut u32),
    /// 64 bits.
    U64(fn(&mut Config) -> &mut u64),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A name in place of a quantity: a port.
    Name,
    /// Things.
    Count,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Bytes.
    Bytes,
}

/// The value of a variable that is not set.
#[derive(Debug)]
pub enum Initial {
    /// This number.
    Number(u64),
    /// As many as the machine has cores, at least this.
    Cores(u64),
    /// This text.
    Text(&'static str),
    /// No value; the text says what that means.
    Nothing(&'static str),
}

impl Initial {
    /// How the documentation writes it, with its unit.
    pub fn describe(&self, unit: Unit) -> String {
        match *self {
            Initial::Number(number) => unit.describe(number),
            Initial::Cores(least) => format!("max({least}, cores)"),
            Initial::Text(text) | Initial::Nothing(text) => text.to_owned(),
        }
    }
}

impl Unit {
    /// A number with this unit, for people.
    pub fn describe(self, number: u64) -> String {
        match (self, rules::show_in_unit(number)) {
            (Unit::Ms, _) => format!("{number} ms"),
            (Unit::Us, _) => format!("{number} µs"),
            (Unit::Bytes, Some(scaled)) => format!("{number} ({scaled})"),
            (Unit::Bytes, None) => format!("{number} bytes"),
            (Unit::Name | Unit::Count, _) => number.to_string(),
        }
    }

    /// The unit and the range, as the end of "must be ...".
    fn allowed(self, range: &RangeInclusive<u64>) -> String {
        let (start, end) = (self.describe(*range.start()), self.describe(*range.end()));
        match self {
            Unit::Name | Unit::Count => format!("a whole number from {start} to {end}"),
            Unit::Ms => format!("a whole number of milliseconds from {} to {}", range.start(), range.end()),
            Unit::Us => format!("a whole number of microseconds from {} to {}", range.start(), range.end()),
            Unit::Bytes => {
                format!("a number of bytes from {start} to {end}, like 65536, 64KiB or 1MiB")
            }
        }
    }
}

impl NumberField {
    fn read(&self, config: &mut Config) -> u64 {
        match self {
            NumberField::U16(field) => u64::from(*field(config)),
            NumberField::U32(field) => u64::from(*field(config)),
            NumberField::U64(field) => *field(config),
        }
    }

    /// The number must be within the range of the field's row; a test holds that each range fits its field.
    fn write(&self, config: &mut Config, number: u64) {
        const FITS: &str = "ok because the range was checked and fits the field";
        match self {
            NumberField::U16(field) => *field(config) = number.try_into().expect(FITS),
            NumberField::U32(field) => *field(config) = number.try_into().expect(FITS),
            NumberField::U64(field) => *field(config) = number,
        }
    }
}

impl Variable {
    /// The flag without its dashes: the name in kebab case.
    pub fn flag(&self) -> String {
        flag_of(self.name)
    }

    /// The unit of its numbers; [`Unit::Name`] for what is not a number.
    pub fn unit(&self) -> Unit {
        match self.kind {
            Kind::Number(unit, ..) => unit,
            _ => Unit::Name,
        }
    }

    /// How the documentation writes its default.
    pub fn default_text(&self) -> String {
        self.initial.describe(self.unit())
    }

    /// The range or form of its values, short, for the documentation.
    pub fn allowed(&self) -> String {
        match &self.kind {
            Kind::Number(unit, range, _) => {
                format!("{} to {}", unit.describe(*range.start()), unit.describe(*range.end()))
            }
            Kind::Path(_) | Kind::OptionalPath(_) => "a path".to_owned(),
            Kind::Host(_) => "a host".to_owned(),
            Kind::Origins(_) => "scheme://host[:port], ...".to_owned(),
            Kind::Switch(_) => "1, true, 0, false".to_owned(),
        }
    }

    /// Reads a text into the field of this variable.
    ///
    /// # Errors
    /// What is allowed, as the end of "must be ..."; the field is then as before.
    pub(super) fn read(&self, config: &mut Config, text: &str) -> Result<(), String> {
        match &self.kind {
            Kind::Number(unit, range, field) => {
                let number = if *unit == Unit::Bytes { rules::parse_bytes(text) } else { rules::parse_number(text) };
                field.write(config, rules::within(number, range).ok_or_else(|| unit.allowed(range))?);
            }
            Kind::Path(field) => *field(config) = rules::parse_path(text)?,
            Kind::OptionalPath(field) => *field(config) = Some(rules::parse_path(text)?),
            Kind::Host(field) => *field(config) = rules::parse_host(text)?,
            Kind::Origins(field) => *field(config) = rules::parse_origins(text)?,
            Kind::Switch(field) => *field(config) = rules::parse_switch(text)?,
        }
        Ok(())
    }

    /// Whether the field of this variable holds what [`Variable::read`] could have put there.
    ///
    /// # Errors
    /// What is allowed, as the end of "must be ...".
    pub(super) fn check(&self, config: &Config) -> Result<(), String> {
        let mut copy = config.clone();
        let text = self.show(config);
        match self.initial {
            Initial::Nothing(_) if text.is_empty() => self.reset(&mut copy, 1),
            _ => self.read(&mut copy, &text)?,
        }
        if copy == *config { Ok(()) } else { Err(format!("in the form \"{}\"", self.show(&copy))) }
    }

    /// The value in the form in which it is set; empty where there is none.
    pub fn show(&self, config: &Config) -> String {
        // One accessor per field serves both directions, at the price of a copy that nobody waits for.
        let mut copy = config.clone();
        match &self.kind {
            Kind::Number(_, _, field) => field.read(&mut copy).to_string(),
            Kind::Path(field) | Kind::Host(field) => field(&mut copy).clone(),
            Kind::OptionalPath(field) => field(&mut copy).clone().unwrap_or_default(),
            Kind::Origins(field) => field(&mut copy).join(","),
            Kind::Switch(field) => u8::from(*field(&mut copy)).to_string(),
        }
    }

    /// The value with its unit, for people.
    pub fn describe(&self, config: &Config) -> String {
        match (&self.kind, &self.initial, self.show(config)) {
            (Kind::Number(unit, _, field), _, _) => unit.describe(field.read(&mut config.clone())),
            (_, Initial::Nothing(meaning), text) if text.is_empty() => format!("({meaning})"),
            (_, _, text) => text,
        }
    }

    /// Puts the default into the field of this variable.
    pub(super) fn reset(&self, config: &mut Config, cores: u32) {
        match (&self.kind, &self.initial) {
            (Kind::Number(_, _, field), Initial::Number(number)) => field.write(config, *number),
            (Kind::Number(_, range, field), Initial::Cores(least)) => {
                field.write(config, u64::from(cores).max(*least).min(*range.end()));
            }
            (_, Initial::Text(text)) => {
                self.read(config, text).expect("ok because a test reads every default of the table");
            }
            (Kind::OptionalPath(field), _) => *field(config) = None,
            (Kind::Origins(field), _) => field(config).clear(),
            (Kind::Switch(field), _) => *field(config) = false,
            (_, _) => unreachable!("a test resets every row of the table"),
        }
    }
}

/// The flag of a variable, without its dashes.
pub(super) fn flag_of(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}
