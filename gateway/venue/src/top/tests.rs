//! The page, drawn from what venues have said.

use super::alerts::{Urgency, alerts};
use super::samples::Samples;
use super::state::{Answer, Venue};
use super::*;
use engine::Timestamp;
use ratatui::crossterm::event::KeyEvent;
use serde_json::{Map, Value, json};

/// 2026-11-29T15:32:24Z.
const TIME: u64 = 1_795_966_344_000_000_000;

/// What a venue said one second, with what is told apart by the story.
fn metrics(sequence: u64, trades: u64, more: &str) -> String {
    let free = if more.contains("disk_free") { "" } else { "rialto_journal_disk_free_bytes 59281899520\n" };
    format!(
        "rialto_trades_total {trades}\nrialto_events_total {sequence}\nrialto_sequence {sequence}\n\
         rialto_history_sequence {sequence}\nrialto_journal_admission 0\nrialto_journal_spares 2\n\
         rialto_journal_room_bytes 200265728\n{free}rialto_journal_damaged 0\nrialto_archive_failing 0\n\
         rialto_snapshots_taken 0\nrialto_snapshot_bytes 0\nrialto_clock_steps 0\nrialto_wall_clock_ahead_ns -1500\n\
         rialto_hop_seconds_bucket{{le=\"0.001\",hop=\"all\"}} {sequence}\n\
         rialto_hop_seconds_bucket{{le=\"+Inf\",hop=\"all\"}} {sequence}\n\
         rialto_market_data_closed{{reason=\"TooSlow\"}} 0\n{more}# EOF\n"
    )
}

fn rows_of(list: &Value) -> Vec<Map<String, Value>> {
    list.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
}

fn answer(second: u64, metrics: &str) -> Answer {
    let sessions = json!([
        { "session": 4, "key": 4, "state": "Established", "ended": null, "login": 1_795_966_315_679_612_447_u64 },
        { "session": 2, "key": 2, "state": "Disconnected", "ended": "TransportClosed", "login": 7 },
    ]);
    let instruments =
        json!([{ "instrument": 1, "name": "BTC-USD", "phase": "Continuous", "tick": "0.01", "lot": "0.1" }]);
    Answer {
        at: Duration::from_secs(second),
        time: Timestamp(TIME + second * 1_000_000_000),
        samples: Samples::parse(metrics),
        ready: true,
        health: "ready".to_owned(),
        instruments: Ok(rows_of(&instruments)),
        sessions: Ok(rows_of(&sessions)),
    }
}

/// A venue of which two answers are known, one second apart.
fn venue(more: &str) -> Venue {
    let mut venue = Venue::new("127.0.0.1:7003");
    venue.answered(answer(1, &metrics(1_000, 10, "")));
    venue.answered(answer(2, &metrics(1_250, 13, more)));
    venue.prices.insert(1, "63995.83".to_owned());
    venue
}

fn shown(venue: &Venue, place: Place, width: u16, height: u16) -> Vec<String> {
    rows(&drawn(venue, place, width, height).unwrap())
}

/// The page on one line, with one space where there are several.
fn squeezed(page: &[String]) -> String {
    page.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn said(venue: &Venue) -> Vec<(Urgency, String)> {
    alerts(venue).into_iter().map(|alert| (alert.urgency, alert.text)).collect()
}

#[test]
fn a_page_has_every_number_in_its_place() {
    let page = shown(&venue(""), Place::default(), 120, 40);
    assert_eq!(page[0], " rialto  127.0.0.1:7003  ready  takes everything  no alerts  15:32:26 UTC");
    let text = squeezed(&page);
    for line in [
        "│ commands 250 /s",
        "│ trades 3.0 /s",
        "│ rejects 0.0 /s",
        "│ sequence 1,250 events /s 250",
        "│ all 500 µs 990 µs 999 µs 250",
        "│ durable – – – –",
        "│ room 191 MiB spare segments 2",
        "│ disk free 55.2 GiB written /s –",
        "│ damage none found history behind 0",
        "clock ahead -1.5 µs",
        "│ session key state ended",
        "│ 4 4 Established – │",
        "│ 2 2 Disconnected TransportClosed │",
        "│ 1 BTC-USD Continuous 63995.83 0.01 0.1",
        "│ nothing was refused since the start",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Where there is room also when they logged in.
    let wide =
        squeezed(&shown(&venue(""), Place { panel: Some(panels::Panel::Sessions), ..Place::default() }, 120, 10));
    assert!(wide.contains("│ 4 4 Established – 2026-11-29 15:31:55 │"), "{wide}");
    assert!(wide.contains("│ 2 2 Disconnected TransportClosed 7 │"), "{wide}");
    assert!(page[39].starts_with(" 0 all  1 traffic  2 latency"), "{}", page[39]);
}

#[test]
fn what_a_venue_does_not_say_is_a_dash() {
    let mut venue = Venue::new("elsewhere");
    venue.answered(Answer { sessions: Err("the venue refused".to_owned()), ..answer(1, "# EOF\n") });
    let text = shown(&venue, Place::default(), 120, 40).join("\n");
    for line in ["│ commands         – /s", "room                   –", "│ – the venue refused"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(said(&venue), []);
}

#[test]
fn a_list_that_the_venue_cuts_says_so() {
    let mut venue = Venue::new("elsewhere");
    let row = |session: usize| json!({ "session": session, "key": 4, "state": "Established", "ended": null });
    let place = Place { panel: Some(panels::Panel::Sessions), scroll: 995, ..Place::default() };
    for (count, last) in [(999, "│ 999 4 Established │"), (1_000, "│ … the first 1000 │")] {
        let sessions = rows_of(&(1..=count).map(row).collect());
        venue.answered(Answer { sessions: Ok(sessions), ..answer(1, "# EOF\n") });
        let page = shown(&venue, place, 80, 12);
        let rows: Vec<_> = page.iter().filter(|row| row.starts_with('│')).cloned().collect();
        let lasts: Vec<_> =
            rows.iter().map(|row| squeezed(std::slice::from_ref(row))).filter(|row| row != "│ │").collect();
        assert!(lasts.last().unwrap().starts_with(last.trim_end_matches(" │")), "{page:#?}");
    }
}

#[test]
fn refusals_are_listed_by_reason_the_most_frequent_first() {
    let more = "rialto_rejects_total{reason=\"Busy\"} 2\nrialto_rejects_total{reason=\"OffTick\"} 4\n\
                rialto_login_failures_total{reason=\"BadSignature\"} 1\nrialto_admin_requests_total{status=\"200\"} 9\n\
                rialto_admin_requests_total{status=\"401\"} 1\n";
    let text = shown(&venue(more), Place::default(), 120, 40).join("\n");
    for line in ["│ rejects     OffTick 4  Busy 2", "│ logins      BadSignature 1", "│ admin       401 1  "] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("rejects        6.0 /s"), "{text}");
}

#[test]
fn what_would_wake_an_operator_is_said_in_words() {
    use Urgency::{Now, Soon};
    let told = |more: &str| said(&venue(more));
    assert_eq!(told(""), []);
    for (more, urgency, text) in [
        (
            "rialto_journal_failed 1\n",
            Now,
            "a write or sync of the journal has failed: nothing becomes durable any more",
        ),
        ("rialto_journal_damaged 1\n", Now, "damage was found in the journal: rialto journal verify says where"),
        ("rialto_journal_disk_free_bytes 150000000\n", Now, "the journal's disk has 143 MiB free"),
        (
            "rialto_journal_disk_free_bytes 5000000\nrialto_journal_segment_bytes 1048576\n",
            Now,
            "the journal's disk has room for 4 more segments",
        ),
        (
            "rialto_durability_lag_commands 10001\n",
            Now,
            "the disk is behind: more than 10000 commands are not durable yet",
        ),
        (
            "rialto_journal_sync_seconds_bucket{le=\"0.2\"} 0\nrialto_journal_sync_seconds_bucket{le=\"0.4\"} 100\n",
            Soon,
            "the disk is slow: a sync takes 398 ms at p99",
        ),
        ("rialto_archive_failing 1\n", Soon, "event history or snapshots cannot be written: standard error says why"),
        ("rialto_clock_steps 1\n", Soon, "the wall clock was stepped since the start: the venue's time did not follow"),
        ("rialto_wall_clock_ahead_ns 2500000000\n", Now, "the wall clock is 2.500 s ahead of the venue's time"),
        ("rialto_command_ring_refused_total 3\n", Now, "3 commands were answered Busy in the last minute"),
        ("rialto_rejects_total{reason=\"Busy\"} 601\n", Soon, "601 commands were refused in the last minute"),
        ("rialto_login_failures_total{reason=\"BadKey\"} 13\n", Soon, "13 logins failed in the last minute"),
        (
            "rialto_admin_requests_total{status=\"401\"} 6\n",
            Soon,
            "6 requests at the operator's door were not authenticated in the last minute",
        ),
    ] {
        assert_eq!(told(more), [(urgency, text.to_owned())], "{more}");
    }
    // What passes by is not told of, and what lasts is.
    let one = metrics(1_000, 10, "").replace("spares 2", "spares 1");
    let mut short = Venue::new("x");
    short.answered(answer(1, &one));
    short.answered(answer(2, &one));
    assert_eq!(said(&short), []);
    short.answered(answer(40, &one));
    let lasting = "fewer than two journal segments are ready, for a while now: is the disk full?";
    assert_eq!(said(&short), [(Now, lasting.to_owned())]);
    let mut venue = venue("");
    let full = "not ready: the journal's disk is full, nothing is taken";
    venue.answered(Answer { ready: false, health: full.to_owned(), ..answer(3, &metrics(1_251, 13, "")) });
    assert_eq!(said(&venue), [(Now, full.to_owned())]);
    let page = shown(&venue, Place::default(), 120, 40);
    assert!(page[0].contains("not ready  takes everything  1 alert"), "{}", page[0]);
    assert_eq!(page[1], format!(" ! {full}"));
    // A subscriber that was closed is told of, and a minute later no more.
    let closed = metrics(1_252, 13, "").replace("TooSlow\"} 0", "TooSlow\"} 1");
    venue.answered(answer(4, &closed));
    assert_eq!(said(&venue), [(Soon, "1 subscriber was closed as too slow in the last minute".to_owned())]);
    venue.answered(answer(70, &closed.replace("1252", "1253")));
    assert_eq!(said(&venue), []);
}

#[test]
fn a_venue_that_goes_away_is_said_and_comes_back() {
    let mut venue = venue("");
    venue.lost("127.0.0.1:7003: connection refused");
    let page = shown(&venue, Place::default(), 120, 40);
    assert!(page[0].contains("no venue, looking for it"), "{}", page[0]);
    assert_eq!(page[1], " ! 127.0.0.1:7003: connection refused");
    // It counts from the beginning: nothing is taken for a rate.
    venue.answered(answer(9, &metrics(40, 0, "")));
    let page = shown(&venue, Place::default(), 120, 40);
    assert!(page[0].contains("ready") && page[0].ends_with("came back once"), "{}", page[0]);
    assert!(page.join("\n").contains("commands         – /s"), "{page:#?}");
    venue.answered(answer(10, &metrics(50, 1, "")));
    assert!(shown(&venue, Place::default(), 120, 40).join("\n").contains("commands      10.0 /s"));
}

#[test]
fn every_size_and_every_page_can_be_drawn() {
    let more = "rialto_rejects_total{reason=\"Busy\"} 2\nrialto_journal_failed 1\n";
    let venue = venue(more);
    let mut place = Place { help: true, scroll: 3, ..Place::default() };
    for page in 0..=panels::Panel::ALL.len() {
        place.go(page);
        for (width, height) in
            (0..130).step_by(7).flat_map(|width| [0, 1, 2, 3, 5, 9, 40].map(|height| (width, height)))
        {
            drawn(&venue, place, width, height).unwrap();
        }
    }
    for (width, height) in [(1, 1), (80, 24), (200, 60)] {
        drawn(&Venue::new("x"), Place::default(), width, height).unwrap();
    }
}

#[test]
fn a_small_screen_has_what_matters_most() {
    let text = shown(&venue(""), Place::default(), 80, 24).join("\n");
    for line in ["commands       250 /s", "│ all ", "│ durable", "│ disk sync", "room ", "clock ahead"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("│ decoded"), "{text}");
}

#[test]
fn keys_move_the_reader() {
    let mut place = Place::default();
    let mut press = |code| {
        super::press(&mut place, KeyEvent::from(code));
        (place.panel.map(panels::Panel::name), place.scroll, place.paused, place.help)
    };
    assert_eq!(press(KeyCode::Char('4')), (Some("sessions"), 0, false, false));
    assert_eq!(press(KeyCode::Down), (Some("sessions"), 1, false, false));
    assert_eq!(press(KeyCode::PageUp), (Some("sessions"), 0, false, false));
    assert_eq!(press(KeyCode::Tab), (Some("market data"), 0, false, false));
    assert_eq!(press(KeyCode::Char('9')), (Some("market data"), 0, false, false));
    assert_eq!(press(KeyCode::Char('p')), (Some("market data"), 0, true, false));
    assert_eq!(press(KeyCode::Char('?')), (Some("market data"), 0, true, true));
    assert_eq!(press(KeyCode::Char('0')), (None, 0, true, true));
    assert_eq!(press(KeyCode::BackTab), (Some("alerts"), 0, true, true));
    assert!(is_quit(KeyEvent::from(KeyCode::Char('q'))) && !is_quit(KeyEvent::from(KeyCode::Char('p'))));
}

#[test]
fn a_session_has_the_accounts_of_its_key() {
    let mut sessions = rows_of(&json!([{ "session": 7, "key": 2 }, { "session": 8, "key": 3 }, { "session": 9 }]));
    let keys = rows_of(&json!([
        { "key": 2, "roles": [{ "role": "Trader", "account": 5 }, { "role": "DropCopy", "account": 4 },
                              { "role": "ReadOnly", "account": 5 }] },
        { "key": 3, "roles": [{ "role": "Administrator", "account": null }] },
    ]));
    state::add_accounts(&mut sessions, &keys);
    let accounts: Vec<_> = sessions.iter().map(|session| session.get("account").cloned()).collect();
    assert_eq!(accounts, [Some(json!("4+5")), None, None]);
}

#[test]
fn a_list_that_is_longer_than_the_screen_scrolls() {
    let mut venue = venue("");
    let sessions = (1..=30).map(|session| rows_of(&json!([{ "session": session, "state": "Established" }])).remove(0));
    venue.answered(Answer { sessions: Ok(sessions.collect()), ..answer(3, &metrics(1_300, 14, "")) });
    let mut place = Place::default();
    place.go(4);
    let page = shown(&venue, place, 80, 10);
    assert!(page[2].contains("session  state") && page[8].contains("25 more below"), "{page:#?}");
    place.scroll = 1_000;
    let page = shown(&venue, place, 80, 10);
    assert!(page[7].contains("30 ") && !page[8].contains("more below"), "{page:#?}");
}

#[test]
fn an_object_has_what_the_page_has() {
    let more = "rialto_rejects_total{reason=\"Busy\"} 2\n";
    let object = report::object(&venue(more));
    assert_eq!(
        (&object["reached"], &object["ready"], &object["health"]),
        (&json!(true), &json!(true), &json!("ready"))
    );
    assert_eq!(object["per_second"], json!({ "commands": 250.0, "trades": 3.0, "rejects": 2.0 }));
    assert_eq!(object["latency"]["all"]["samples"], 250.0);
    assert_eq!(object["latency"]["durable"], Value::Null);
    assert_eq!(
        (&object["journal"]["spares"], &object["journal"]["durability_lag_commands"]),
        (&json!(2.0), &Value::Null)
    );
    assert_eq!((&object["rejects"], &object["last_prices"]), (&json!({ "Busy": 2.0 }), &json!({ "1": "63995.83" })));
    assert_eq!(object["sessions"][0]["session"], 4);
    let nothing = report::object(&Venue::new("x"));
    assert_eq!(
        (&nothing["reached"], &nothing["ready"], &nothing["sessions"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
}
