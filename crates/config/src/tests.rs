//! Reading a written environment.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

#[test]
fn every_fault_is_reported_at_once_and_no_value_is_shown() {
    let mut env = Env::from_pairs(&[
        ("PORT", "hunter2"),
        ("KEY", "short"),
        ("WORKERS", "900"),
        ("EMPTY", ""),
    ]);
    let port = env.required::<u16>("PORT", "a port number");
    let key = env.secret("KEY", 32, "32 random bytes");
    let workers = env.within("WORKERS", 2, 1..=64, "threads");
    let empty = env.required::<String>("EMPTY", "anything");
    let url = env.first_of(&["A_URL", "B_URL"], "postgres://…");
    let shown = env
        .finish(|| Some((port?, key?, workers, empty?, url?)))
        .unwrap_err()
        .to_string();

    let expected = "the environment cannot be used:
  PORT cannot be read; set it to: a port number
  KEY is shorter than 32 bytes; set it to: 32 random bytes
  WORKERS is outside 1 to 64; set it to: threads
  EMPTY is not set; set it to: anything
  A_URL none of A_URL, B_URL is set; set it to: postgres://…";
    assert_eq!(shown, expected);
}

#[test]
fn defaults_stand_in_for_what_is_absent() {
    let mut env = Env::from_pairs(&[("B_URL", "postgres://b")]);
    let pause = env.or("PAUSE_SECONDS", 30_u64, "seconds");
    let level = env.optional::<u8>("LEVEL", "a level");
    let url = env.first_of(&["A_URL", "B_URL"], "postgres://…");
    let read = env.finish(|| Some((pause, level, url?))).unwrap();
    assert_eq!(
        (read.0, read.1, read.2.expose_secret()),
        (30, None, "postgres://b")
    );
}

#[test]
fn every_variable_read_is_described_once() {
    let mut env = Env::from_pairs(&[]);
    env.or("PAUSE_SECONDS", 30_u64, "seconds");
    env.or("PAUSE_SECONDS", 30_u64, "seconds");
    env.optional::<u8>("LEVEL", "a level");
    let names: Vec<_> = env
        .described()
        .into_iter()
        .map(|variable| (variable.name, variable.default))
        .collect();
    assert_eq!(names, [("PAUSE_SECONDS", Some("30".to_owned())), ("LEVEL", None)]);
}
