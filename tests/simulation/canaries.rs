//! The simulation can fail: with a defect put in on purpose, one of a hundred seeds at most is enough to see it.

use std::panic::catch_unwind;

use super::run::run;
use super::tamper::Defect;
use super::transcript::Transcript;

const SEEDS_MAX: u64 = 100;

fn assert_seen(defect: Defect) {
    let fails = |seed: &u64| catch_unwind(|| run(*seed, Transcript::Silent, Some(defect))).is_err();
    let seen = (1..=SEEDS_MAX).find(fails);
    println!("{defect:?} is seen by seed {seen:?}");
    assert!(seen.is_some(), "{SEEDS_MAX} seeds did not see {defect:?}");
}

#[test]
fn a_message_dropped_in_silence_is_seen() {
    assert_seen(Defect::Drop);
}

#[test]
fn a_false_claim_of_recovery_is_seen() {
    assert_seen(Defect::FalseRecovery);
}

#[test]
fn a_message_delivered_twice_is_seen() {
    assert_seen(Defect::Twice);
}

#[test]
fn a_low_message_that_overtakes_a_high_one_is_seen() {
    assert_seen(Defect::LowOvertakesHigh);
}

#[test]
fn a_false_confirmation_is_seen() {
    assert_seen(Defect::FalseConfirmation);
}

#[test]
fn a_position_in_the_place_of_a_cursor_is_seen() {
    assert_seen(Defect::SeqAsId);
}
