//! The query of a request target, as forms and `URLSearchParams` write it: `name=value`, joined by `&`, with `+` for a space.

use std::borrow::Cow;

use super::http::percent_decode;

/// A query's members.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(Option<&'a str>);

/// Why a member cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// It came twice: two readers could take one or the other.
    Repeated,
    /// A `%` is not followed by two hexadecimal digits, or what is escaped is not UTF-8.
    Malformed,
}

impl<'a> Query<'a> {
    /// Of what follows the `?` in a target.
    pub const fn new(text: Option<&'a str>) -> Self {
        Self(text)
    }

    /// The decoded value of a member, if it is there.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn get(self, name: &str) -> Result<Option<Cow<'a, str>>, QueryError> {
        let mut members = self.0.unwrap_or_default().split('&').filter_map(|text| {
            let (other, value) = form_urlencoded::parse(text.as_bytes()).next()?;
            (other == name).then_some((text, value))
        });
        match (members.next(), members.next()) {
            (_, Some(_)) => Err(QueryError::Repeated),
            (Some((text, _)), None) if percent_decode(text).is_none() => Err(QueryError::Malformed),
            (member, None) => Ok(member.map(|(_, value)| value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, QueryError> {
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
        assert_eq!(get("a=1&a=1", "a"), Err(QueryError::Repeated));
        assert_eq!(get("a=1&a=1&b=2", "b"), Ok(Some("2".into())));
    }

    #[test]
    fn an_escape_that_is_none_is_an_error_of_its_member() {
        for value in ["%zz", "%4", "%", "%ff%fe"] {
            let query = format!("a={value}&b=1");
            assert_eq!(get(&query, "a"), Err(QueryError::Malformed), "{value}");
            assert_eq!(get(&query, "b"), Ok(Some("1".into())));
        }
    }
}
