//! Rows past the sealer, and a copy of the seals that lacks some, are found.

use std::io::Write;

use core_service::Config;
use serde_json::json;

use crate::audit::{sealed, tampered, verify};
use crate::harness::{Harness, pointers};

/// Writes one row that waits for its seal.
const ONE_ROW: &str = "
    select core.write_audit('[{\"event_type\": \"read\", \"actor\": \"program-app\", \"actor_kind\": \"app\",
        \"people\": [], \"action\": \"x\", \"decision\": \"allow\"}]')";

impl Harness {
    /// As `recoverly-core rebuild-anchor` does; what it prints.
    async fn rebuild_anchor(&self) -> String {
        let (db, mut out) = (self.database.pools("core"), Vec::new());
        let sealing = Config::for_testing(self.anchor.clone()).audit;
        core_service::admin::audit::rebuild_anchor(&db, sealing, &mut out)
            .await
            .unwrap();
        String::from_utf8(out).unwrap()
    }
}

#[tokio::test]
async fn a_row_that_came_past_the_sealer_is_found_whatever_its_time() {
    let mut h = Harness::new().await;
    sealed(&mut h, 3).await;
    for (number, at) in ["now()", "now() - interval '1 day'", "now() - interval '2 years'"]
        .iter()
        .enumerate()
    {
        // Also one that says it was sealed, by a seal of another time.
        let id = 1_000 + number;
        let made_up = format!(
            "insert into core.audit_events (id, at, event_type, actor, actor_kind, action, decision)
                 overriding system value values ({id}, {at}, 'read', 'x', 'service', 'x', 'allow');
             update core.audit_seals set event_ids = event_ids || {id}::bigint where {at} < first_at"
        );
        let found = tampered(&h, &made_up).await;
        assert_eq!(
            found,
            json!([{"seq": 1, "fault": "unsealed", "event_id": id}]),
            "{at}"
        );
        let told = h.verify_by_command().await;
        assert_eq!(
            told,
            Err("the audit is not as it was sealed: 1 faults".to_owned())
        );
        tampered(
            &h,
            &format!(
                "delete from core.audit_events where id = {id};
                 update core.audit_seals set event_ids = array_remove(event_ids, {id}::bigint)"
            ),
        )
        .await;
    }
    assert_eq!(verify(&h).await["is_sound"], true);
}

#[tokio::test]
async fn a_long_chain_is_looked_at_in_stretches_that_leave_out_no_time() {
    let mut h = Harness::new().await;
    sealed(&mut h, 1).await;
    for _ in 0..4 {
        h.run(ONE_ROW).await;
        h.app.round("seal").await.unwrap();
    }
    // Between the times of the second seal and the third.
    tampered(
        &h,
        "insert into core.audit_events (id, at, event_type, actor, actor_kind, action, decision)
             overriding system value select 1000, s.last_at + interval '1 microsecond', 'read', 'x', 'service', 'x', 'allow'
             from core.audit_seals s where s.seq = 2",
    )
    .await;
    let (db, sealing) = (
        h.database.pools("core"),
        Config::for_testing(h.anchor.clone()).audit,
    );
    let mut out = Vec::new();
    let verified = core_service::admin::audit::verify(&db, sealing, 1, &mut out).await;
    assert!(verified.is_err());
    let told = String::from_utf8(out).unwrap();
    assert!(
        told.contains("seal 3, row 1000: a row that was not written by us stands in no seal"),
        "{told}"
    );
    assert!(told.contains("1 seals of 5 looked at"), "{told}");
}

#[tokio::test]
async fn a_crash_before_the_copy_is_mended_and_more_than_it_leaves_is_a_finding() {
    let mut h = Harness::new().await;
    sealed(&mut h, 1).await;
    for _ in 0..3 {
        h.run(ONE_ROW).await;
        h.app.round("seal").await.unwrap();
    }
    let whole = std::fs::read_to_string(&h.anchor).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 4);
    std::fs::write(&h.anchor, lines[..3].concat()).unwrap();
    assert_eq!(verify(&h).await["is_sound"], true, "what a crash leaves");
    h.app.round("seal").await.unwrap();
    assert!(std::fs::read_to_string(&h.anchor).unwrap().starts_with(&whole));
    for (left, missing) in [(Some(&lines[..2]), 3), (None, 1)] {
        match left {
            Some(left) => std::fs::write(&h.anchor, left.concat()).unwrap(),
            None => std::fs::remove_file(&h.anchor).unwrap(),
        }
        let refused = h.app.round("seal").await.unwrap_err().to_string();
        assert!(refused.contains("anchor is missing or was cut"), "{refused}");
        let report = verify(&h).await;
        assert_eq!(
            report["faults"][0],
            json!({"seq": missing, "fault": "not_anchored"})
        );
    }
    assert!(!h.anchor.exists(), "it is not made anew in silence");
    let seals = h.database.count("select max(seq) from core.audit_seals").await;
    assert_eq!(
        h.rebuild_anchor().await,
        format!("{seals} seals were appended to the copy\n")
    );
    assert_eq!(h.rebuild_anchor().await, "0 seals were appended to the copy\n");
    h.app.round("seal").await.unwrap();
    assert_eq!(verify(&h).await["is_sound"], true);
    assert!(std::fs::read_to_string(&h.anchor).unwrap().starts_with(&whole));
    std::fs::write(&h.anchor, [lines[0], lines[2], lines[3]].concat()).unwrap();
    let gap = verify(&h).await;
    assert!(
        gap["faults"]
            .as_array()
            .unwrap()
            .contains(&json!({"seq": 2, "fault": "not_anchored"})),
        "{gap}"
    );
}

#[tokio::test]
async fn seals_that_are_made_while_one_looks_are_not_called_cut_off() {
    let mut h = Harness::new().await;
    sealed(&mut h, 1).await;
    // In the copy's place a pipe: it opens once the copy is to be read, and by then the chain has been.
    let (anchor, aside) = (h.anchor.clone(), h.anchor.with_extension("aside"));
    std::fs::rename(&anchor, &aside).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&anchor).status();
    assert!(made.unwrap().success());
    let meanwhile = async {
        let pipe = anchor.clone();
        let opened = move || std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
        let mut pipe = tokio::task::spawn_blocking(opened).await.unwrap();
        std::fs::rename(&aside, &anchor).unwrap();
        for _ in 0..2 {
            h.run(ONE_ROW).await;
            h.app.round("seal").await.unwrap();
        }
        pipe.write_all(&std::fs::read(&anchor).unwrap()).unwrap();
    };
    let (report, ()) = tokio::join!(verify(&h), meanwhile);
    assert_eq!(report["faults"], json!([]));
    assert_eq!(
        (&report["last_seq"], &report["last_anchored_seq"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(verify(&h).await["seals"], 3);
}

#[tokio::test]
async fn nothing_is_looked_at_behind_a_seal_that_is_not_there() {
    let mut h = Harness::new().await;
    sealed(&mut h, 1).await;
    let behind = async |after: &str| {
        let path = format!("/v1/audit-events/verify?after={after}");
        h.call("auditor").get(&path).await
    };
    assert_eq!(behind("1").await.code(), 200);
    for after in ["2", "999999999", "9223372036854775807"] {
        let refused = behind(after).await;
        assert_eq!(refused.code(), 422, "{after}");
        assert_eq!(pointers(&refused), ["?after"]);
    }
}

#[tokio::test]
async fn two_processes_that_seal_at_once_make_one_chain_and_one_copy() {
    let mut h = Harness::new().await;
    sealed(&mut h, 1).await;
    let other = h.replica();
    for _ in 0..10 {
        h.run(ONE_ROW).await;
        let (one, two) = tokio::join!(h.app.round("seal"), other.round("seal"));
        one.unwrap();
        two.unwrap();
    }
    h.app.round("seal").await.unwrap();
    assert_eq!(verify(&h).await["is_sound"], true);
    let seals = h.database.count("select max(seq) from core.audit_seals").await;
    let lines = std::fs::read_to_string(&h.anchor).unwrap().lines().count();
    assert_eq!(i64::try_from(lines).unwrap(), seals, "each seal has one line");
}
