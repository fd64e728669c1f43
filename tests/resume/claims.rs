//! Row 32: positions that cannot be, and connections of others.

use super::common::client::{Client, envelope};
use super::common::json;
use super::common::row;
use super::{SESSION, entry, epoch_of, expect_gap, publish};
use simd_json::json;
use simd_json::prelude::*;

/// Far more claims than a client may send bad messages: none of them is an error.
const REPEATS: usize = 5;

/// As JSON text, because no number type holds all of them.
const IMPOSSIBLE: [&str; 10] =
    ["-1", "18446744073709551616", "18446744073709551615", "4", "1.5", "\"2\"", "null", "{}", "[2]", "1e3"];

#[test]
fn row_32_positions_that_cannot_be() {
    row::run(&[], |server| {
        let mut publisher = Client::connect(server.address, "publisher", SESSION);
        let epoch = epoch_of(&publisher, SESSION);
        publish(&mut publisher, "m", 3);
        let mut joiner = Client::connect(server.address, "joiner", "another");
        for seq in IMPOSSIBLE.repeat(REPEATS) {
            let claim = format!(r#"{{"sessionId":"{SESSION}","epoch":"{epoch}","seq":{seq}}}"#);
            let payload = format!(r#"{{"token":"reader","sessionId":"{SESSION}","resume":{{"positions":[{claim}]}}}}"#);
            let mut client = Client::anonymous(server.address);
            client.ws.text(&format!(r#"{{"id":"a1","type":"authentication","payload":{payload}}}"#));
            let welcome = client.receive();
            let expected = json!({"sessionId": SESSION, "epoch": epoch.as_str(), "seq": 3, "recovered": false});
            assert_eq!(*entry(&welcome, SESSION), expected, "{seq}");
            expect_gap(&mut client, SESSION, None, "unknown_epoch");

            let resume = format!(r#"{{"epoch":"{epoch}","seq":{seq}}}"#);
            let payload = format!(r#"{{"sessionId":"{SESSION}","resume":{resume}}}"#);
            joiner.ws.text(&format!(r#"{{"id":"j1","type":"hashi:join","payload":{payload}}}"#));
            assert_eq!(joiner.receive()["payload"], expected, "{seq}");
            expect_gap(&mut joiner, SESSION, None, "unknown_epoch");
            joiner.expect_nothing();
            client.ws.close();
        }
        joiner.ws.close();
        publisher.ws.close();
    });
}

#[test]
fn row_32_epochs_that_cannot_be() {
    row::run(&[], |server| {
        let mut publisher = Client::connect(server.address, "publisher", SESSION);
        publish(&mut publisher, "m", 3);
        let long = "e".repeat(10_000);
        for epoch in [json!(""), json!(7), json!(null), json!({}), json!(long)] {
            let position = json!({"sessionId": SESSION, "epoch": epoch, "seq": 1});
            let resume = json!({"positions": [position]});
            let payload = json!({"token": "reader", "sessionId": SESSION, "resume": resume});
            let mut client = Client::connect_with(server.address, payload);
            assert!(!json::boolean(entry(&client.welcome, SESSION), "recovered"));
            expect_gap(&mut client, SESSION, None, "unknown_epoch");
            client.expect_nothing();
            client.ws.close();
        }
        publisher.ws.close();
    });
}

/// Who names a session that is not its own learns nothing, and gets nothing of it, now or later.
#[test]
fn row_32_sessions_of_others() {
    row::run(&[], |server| {
        let mut owner = Client::connect(server.address, "owner", "private");
        let epoch = epoch_of(&owner, "private");
        publish(&mut owner, "secret", 3);
        let claims = json!([
            {"sessionId": "private", "epoch": epoch.as_str(), "seq": 0},
            {"sessionId": "@owner", "epoch": epoch_of(&owner, "@owner"), "seq": 0},
        ]);
        let payload = json!({"token": "thief", "sessionId": SESSION, "resume": {"positions": claims}});
        let mut thief = Client::connect_with(server.address, payload);
        for name in ["private", "@owner"] {
            let nothing = json!({"sessionId": name, "epoch": null, "seq": null, "recovered": false});
            assert_eq!(*entry(&thief.welcome, name), nothing);
            expect_gap(&mut thief, name, None, "unknown_epoch");
        }
        publish(&mut owner, "more", 3);
        thief.expect_nothing();
        thief.ws.close();
        owner.ws.close();
    });
}

#[test]
fn row_32_connections_of_others() {
    row::run(&[], |server| {
        let mut victim = Client::connect(server.address, "victim", "private");
        let id = victim.connection_id().to_owned();
        let nobody = "0".repeat(32);
        for claimed in [json!(id), json!(nobody), json!("nonsense"), json!(7), json!(null)] {
            let payload = json!({"token": "thief", "sessionId": SESSION, "resume": {"connectionId": claimed}});
            let mut thief = Client::connect_with(server.address, payload);
            let names = json::find(&thief.welcome, "payload.positions").and_then(|list| list.as_array());
            assert_eq!(names.map(Vec::len), Some(2), "its own sessions: {}", thief.welcome.encode());
            victim.round_trip("still-here");
            thief.send(&envelope("e1", "custom", json!({})));
            thief.receive_where(|message| json::is(message, "id", "e1"));
            thief.ws.close();
        }
        victim.ws.close();
    });
}
