//! Two JSON texts side by side.

use serde_json::{Map, Value};

/// The lines of both, members in alphabetical order: `-` is only expected, `+` only came.
pub fn show(expected: &Value, got: &Value) -> String {
    let (expected, got) = (lines(expected), lines(got));
    let same = |pair: &(&String, &String)| pair.0 == pair.1;
    let before = expected.iter().zip(&got).take_while(same).count();
    let after = expected[before..].iter().rev().zip(got[before..].iter().rev()).take_while(same).count();
    let (expected_end, got_end) = (expected.len() - after, got.len() - after);
    let unchanged = |lines: &[String]| lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>();
    let mut shown = unchanged(&expected[..before]);
    shown.extend(expected[before..expected_end].iter().map(|line| format!("- {line}")));
    shown.extend(got[before..got_end].iter().map(|line| format!("+ {line}")));
    shown.extend(unchanged(&expected[expected_end..]));
    shown.join("\n")
}

fn lines(value: &Value) -> Vec<String> {
    format!("{:#}", sorted(value)).lines().map(str::to_owned).collect()
}

/// The same value with the members of every object in alphabetical order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(members))
        }
        scalar => scalar.clone(),
    }
}

#[test]
fn a_difference_shows_what_is_only_on_one_side() {
    let expected = serde_json::json!([{"b": 1, "a": 2, "c": 3}]);
    let got = serde_json::json!([{"c": 3, "b": 1, "a": 7}]);
    let shown = show(&expected, &got);
    assert_eq!(shown, "  [\n    {\n-     \"a\": 2,\n+     \"a\": 7,\n      \"b\": 1,\n      \"c\": 3\n    }\n  ]");
}
