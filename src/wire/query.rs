//! The query of a request target, as forms and `URLSearchParams` write it: `name=value`, joined by `&`, with `+` for a space.

use std::borrow::Cow;

/// A query's members.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(Option<&'a str>);

/// A member came twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl<'a> Query<'a> {
    /// Of what follows the `?` in a target.
    pub const fn new(text: Option<&'a str>) -> Self {
        Self(text)
    }

    /// The decoded value of a member, if it is there. Escapes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`Repeated`], since two readers could take one or the other.
    pub fn get(self, name: &str) -> Result<Option<Cow<'a, str>>, Repeated> {
        let members = form_urlencoded::parse(self.0.unwrap_or_default().as_bytes());
        let mut values = members.filter(|(other, _)| other == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Repeated),
            (value, None) => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Repeated> {
        Query::new(Some(query)).get(name)
    }

    #[test]
    fn members_are_decoded() {
        assert_eq!(get("a=1&session%49d=x+y%2c%25&b", "sessionId"), Ok(Some("x y,%".into())));
        assert_eq!(get("a=1&b", "b"), Ok(Some("".into())));
        assert_eq!(get("a=1&b", "c"), Ok(None));
        assert_eq!(Query::new(None).get("c"), Ok(None));
    }

    #[test]
    fn a_member_twice_is_an_error() {
        assert_eq!(get("a=1&a=1", "a"), Err(Repeated));
        assert_eq!(get("a=1&a=1&b=2", "b"), Ok(Some("2".into())));
    }
}
