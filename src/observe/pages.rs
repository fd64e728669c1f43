//! Status and metrics pages, both from one table of figures.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{Metrics, Stage};
use crate::config::limits::RETRY_AFTER_S;
use crate::delivery::Delivery;
use crate::handlers::Handlers;
use crate::message::ErrorCode;
use crate::tables::State;
use crate::tables::owed::Reason;

/// All that the pages show.
#[derive(Clone, Copy)]
pub struct Overview<'a> {
    /// The reactor's counters.
    pub metrics: &'a Metrics,
    /// Tables and sums of delivery.
    pub delivery: &'a Delivery,
    /// Handlers.
    pub handlers: &'a Handlers,
    /// Whether new WebSocket connections are taken.
    pub accepting: bool,
    /// Whether the server is going away.
    pub draining: bool,
    /// Whether it runs in development mode beyond loopback.
    pub insecure: bool,
    /// Most WebSocket connections.
    pub connections_max: u32,
    /// Commands from other threads that wait for the loop.
    pub commands_waiting: usize,
}

/// A figure that only grows: its name in status, its name in metrics, what it means.
type Counter = (&'static str, &'static str, &'static str, u64);

fn counters(o: Overview<'_>) -> Vec<Counter> {
    let (m, d, h) = (o.metrics, &o.delivery.totals, &o.handlers.totals);
    let f = &o.delivery.tables.in_flight.totals;
    vec![
        ("accepted", "hashi_sockets_accepted_total", "Sockets accepted.", m.accepted),
        ("refused", "hashi_refused_total", "Sockets and upgrades refused at a limit or while draining.", m.refused),
        ("evicted", "hashi_evicted_total", "Unauthenticated connections that gave way.", m.evicted),
        ("acceptPauses", "hashi_accept_pauses_total", "Pauses for want of file descriptors.", m.accept_pauses),
        ("httpTimeouts", "hashi_http_timeouts_total", "Requests that did not come in time.", m.http_timeouts),
        ("upgrades", "hashi_upgrades_total", "WebSocket handshakes.", m.upgrades),
        ("authenticated", "hashi_authentications_total", "Authentications that succeeded.", m.authenticated),
        (
            "authenticationFailures",
            "hashi_authentication_failures_total",
            "Authentications that failed.",
            m.authentication_failures,
        ),
        ("closed", "hashi_sockets_closed_total", "Sockets closed.", m.closed),
        ("closedByServer", "hashi_closed_by_server_total", "WebSocket closes begun here.", m.closed_by_server),
        ("messagesIn", "hashi_messages_received_total", "Messages received over WebSocket.", m.messages_in),
        ("confirmed", "hashi_confirmed_total", "Copies of reliable messages that were confirmed.", f.confirmed),
        ("givenUp", "hashi_given_up_total", "Copies of reliable messages that were given up.", f.given_up),
        ("displaced", "hashi_displaced_total", "Those that gave way to newer ones at a limit.", f.displaced),
        ("unheld", "hashi_unheld_total", "Copies that were not held because too many are in flight.", f.unheld),
        (
            "unconfirmable",
            "hashi_unconfirmable_total",
            "Copies of reliable messages for clients that do not confirm.",
            f.unconfirmable,
        ),
        ("retries", "hashi_retries_total", "Copies of reliable messages that were sent again.", f.retries),
        ("holdsRefused", "hashi_holds_refused_total", "Messages refused: too many copies in flight.", d.holds_refused),
        (
            "outcomesRefused",
            "hashi_outcomes_refused_total",
            "Messages refused: too many outcomes counted.",
            d.outcomes_refused,
        ),
        ("ignoredAcks", "hashi_ignored_acks_total", "Confirmations of nothing.", d.ignored_acks),
        (
            "repeated",
            "hashi_messages_repeated_total",
            "Messages that came again and were not handled again.",
            o.delivery.tables.dedup.repeated(),
        ),
        ("published", "hashi_messages_published_total", "Messages that took a position in a session.", d.published),
        ("queued", "hashi_messages_queued_total", "Copies put into queues.", d.queued),
        ("conflated", "hashi_messages_conflated_total", "Copies replaced by a newer one of their key.", d.conflated),
        ("dropped", "hashi_messages_dropped_total", "Messages without a sequence dropped by full queues.", d.dropped),
        (
            "debounced",
            "hashi_messages_debounced_total",
            "Messages replaced by a newer one of their key before they were published.",
            d.debounced,
        ),
        (
            "undebounced",
            "hashi_windows_refused_total",
            "Times that a topic was not held back because too many were.",
            o.delivery.tables.held.refused(),
        ),
        ("expired", "hashi_messages_expired_total", "Messages past the time that their senders gave them.", d.expired),
        ("replayed", "hashi_messages_replayed_total", "Copies put into queues from history.", d.replayed),
        (
            "historyEvicted",
            "hashi_history_evicted_total",
            "Messages that history gave up at a limit.",
            o.delivery.tables.history.evicted(),
        ),
        ("eventStreams", "hashi_event_streams_total", "Event streams opened.", m.event_streams),
        ("polls", "hashi_polls_total", "Polls answered.", d.polls),
        ("polled", "hashi_messages_polled_total", "Messages given to polls.", d.polled),
        ("tickets", "hashi_tickets_made_total", "Tickets made.", d.tickets),
        (
            "ticketsReplaced",
            "hashi_tickets_replaced_total",
            "Tickets that newer ones replaced before their time.",
            o.delivery.tables.tickets.replaced(),
        ),
        ("catchUps", "hashi_catch_ups_total", "Rows that fell behind.", d.catch_ups),
        ("resumed", "hashi_resumed_total", "Sessions in which a client went on where it had left off.", d.resumed),
        (
            "departuresDisplaced",
            "hashi_departures_displaced_total",
            "Connections that had ended and were forgotten before their time.",
            o.delivery.tables.departed.displaced(),
        ),
        (
            "outcomesUnkept",
            "hashi_outcomes_unkept_total",
            "Outcomes not kept for senders that were away: too many waited.",
            o.delivery.tables.departed.unkept(),
        ),
        ("takeovers", "hashi_takeovers_total", "Connections that a client's next one went on for.", m.takeovers),
        ("handlersStarted", "hashi_handlers_started_total", "Messages given to handlers.", h.started),
        ("handlersPanicked", "hashi_handlers_panicked_total", "Handlers that panicked.", h.panicked),
        ("handlersTimedOut", "hashi_handlers_timed_out_total", "Handlers that took too long.", h.timed_out),
        ("handlersRefused", "hashi_handlers_refused_total", "Messages refused by full mailboxes.", h.refused),
        ("unobserved", "hashi_unobserved_total", "Copies that observers missed.", h.unobserved),
        ("bytesIn", "hashi_bytes_received_total", "Bytes read.", m.bytes_in),
        ("bytesOut", "hashi_bytes_sent_total", "Bytes written.", m.bytes_out),
        ("reads", "hashi_reads_total", "Calls of read.", m.reads),
        ("writes", "hashi_writes_total", "Calls of write and writev.", m.writes),
        ("arrays", "hashi_arrays_total", "Frames with several messages.", m.arrays),
        ("ticks", "hashi_ticks_total", "Ticks of the loop.", m.ticks),
    ]
}

/// The full status page.
pub fn status(o: Overview<'_>) -> Value {
    let mut page = short_status(o);
    if let (Value::Object(page), Value::Object(figures)) = (&mut page, figures(o)) {
        page.extend(figures);
    }
    page
}

fn figures(o: Overview<'_>) -> Value {
    let tables = &o.delivery.tables;
    let counted: Map<String, Value> = counters(o).iter().map(|(name, _, _, n)| ((*name).into(), json!(n))).collect();
    let errors: Map<String, Value> = errors(o).map(|(name, n)| (name.into(), json!(n))).collect();
    json!({
        "insecureDevelopment": o.insecure,
        "uptimeMs": o.delivery.now.ms(),
        "connections": {
            "rows": tables.connections.len(),
            "http": tables.connections.count(State::Http),
            "websocket": tables.connections.websockets(),
            "sse": tables.connections.count(State::Events),
            "poll": tables.connections.count(State::Poll),
            "authenticated": tables.connections.count(State::Open) + tables.connections.count(State::Events),
            "closing": tables.connections.count(State::Closing),
            "max": o.connections_max,
        },
        "sessions": tables.sessions.len(),
        "memberships": tables.sessions.edge_count(),
        "queues": {
            "messages": tables.messages.len(),
            "entries": tables.outputs.entries(),
            "blocks": tables.outputs.used_blocks(),
            "bytes": tables.messages.used_bytes(),
            "inputBytes": tables.connections.input_bytes(),
        },
        "history": {
            "messages": tables.history.len(),
            "rowsBehind": tables.outputs.cursors().len(),
            "departed": tables.departed.len(),
            "tickets": tables.tickets.len(),
        },
        "held": tables.held.len(),
        "confirmation": {
            "inFlight": tables.in_flight.len(),
            "outcomes": tables.in_flight.outcomes.len(),
            "waitingRequests": tables.waits.len(),
            "rememberedIds": tables.dedup.len(),
        },
        "commandsWaiting": o.commands_waiting,
        "handlers": {
            "pending": o.handlers.pending(),
            "heldBytes": o.delivery.held_bytes.load(Ordering::Relaxed),
            "lostWorkers": o.handlers.lost_workers(),
        },
        "counters": counted,
        "errors": errors,
        "gaps": gaps(o).map(|(reason, n)| (reason.to_owned(), json!(n))).collect::<Map<_, _>>(),
        "httpAnswers": http_classes(o).map(|(class, n)| (class.to_owned(), json!(n))).collect::<Map<_, _>>(),
        "latency": percentiles(&o.metrics.latency_ns),
        "tick": tick(o.metrics),
    })
}

fn tick(metrics: &Metrics) -> Value {
    let stage = |stage: Stage| (stage.name().to_owned(), percentiles(metrics.stages.of(stage)));
    let mut tick = percentiles(&metrics.tick_ns);
    tick["stages"] = Stage::ALL.map(stage).into_iter().collect();
    tick
}

/// The status page for whom the figures are not.
pub fn short_status(o: Overview<'_>) -> Value {
    let mut page = json!({
        "status": status_word(o),
        "version": env!("CARGO_PKG_VERSION"),
        "accepting": o.accepting,
    });
    if !o.accepting {
        page["retryAfterMs"] = json!(RETRY_AFTER_S * 1000);
    }
    page
}

/// One word for people and load balancers.
fn status_word(o: Overview<'_>) -> &'static str {
    if o.draining { "draining" } else { "ok" }
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
    let us = |ns: u64| ns as f64 / 1000.0;
    let at = |quantile| us(histogram.value_at_quantile(quantile));
    json!({
        "count": histogram.len(),
        "p50Us": at(0.5),
        "p90Us": at(0.9),
        "p99Us": at(0.99),
        "p999Us": at(0.999),
        "maxUs": us(histogram.max()),
    })
}

fn errors(o: Overview<'_>) -> impl Iterator<Item = (&'static str, u64)> {
    let counts = &o.delivery.totals.errors;
    ErrorCode::ALL.iter().map(|code| (code.name(), counts[*code as usize]))
}

fn gaps(o: Overview<'_>) -> impl Iterator<Item = (&'static str, u64)> {
    Reason::ALL.into_iter().map(|reason| reason.name()).zip(o.delivery.totals.gaps)
}

fn http_classes(o: Overview<'_>) -> impl Iterator<Item = (&'static str, u64)> {
    ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(o.metrics.http_answers[1..].iter().copied())
}

/// The metrics page: Prometheus text format, version 0.0.4.
pub fn prometheus(o: Overview<'_>) -> String {
    let mut out = String::with_capacity(8 * 1024);
    for (_, name, help, value) in counters(o) {
        family(&mut out, name, help, "counter");
        line(&mut out, name, "", value as f64);
    }
    family(&mut out, "hashi_errors_total", "Errors answered to messages.", "counter");
    for (code, value) in errors(o) {
        line(&mut out, "hashi_errors_total", &format!("{{code=\"{code}\"}}"), value as f64);
    }
    family(&mut out, "hashi_gaps_total", "Losses told to clients.", "counter");
    for (reason, value) in gaps(o) {
        line(&mut out, "hashi_gaps_total", &format!("{{reason=\"{reason}\"}}"), value as f64);
    }
    family(&mut out, "hashi_http_answers_total", "HTTP requests answered.", "counter");
    for (class, value) in http_classes(o) {
        line(&mut out, "hashi_http_answers_total", &format!("{{class=\"{class}\"}}"), value as f64);
    }
    gauges(&mut out, o);
    summaries(&mut out, o.metrics);
    out
}

fn gauges(out: &mut String, o: Overview<'_>) {
    let tables = &o.delivery.tables;
    family(out, "hashi_connections", "Sockets by state.", "gauge");
    let states = [
        ("http", State::Http),
        ("joining", State::Joining),
        ("open", State::Open),
        ("echo", State::Echo),
        ("events", State::Events),
        ("poll", State::Poll),
        ("closing", State::Closing),
    ];
    for (label, state) in states {
        line(out, "hashi_connections", &format!("{{state=\"{label}\"}}"), tables.connections.count(state) as f64);
    }
    let single = [
        ("hashi_connections_max", "Most WebSocket connections.", o.connections_max as usize),
        ("hashi_sessions", "Sessions, with members or not.", tables.sessions.len()),
        ("hashi_memberships", "Connections in sessions.", tables.sessions.edge_count()),
        ("hashi_queued_entries", "Entries in all queues.", tables.outputs.entries()),
        ("hashi_history_messages", "Messages that histories keep.", tables.history.len()),
        ("hashi_rows_behind", "Connections that history feeds.", tables.outputs.cursors().len()),
        ("hashi_held_messages", "Messages that are held back.", tables.held.len()),
        ("hashi_departed", "Ended connections that a client may go on for.", tables.departed.len()),
        ("hashi_tickets", "Tickets that may be used.", tables.tickets.len()),
        ("hashi_in_flight", "Copies of reliable messages that are not confirmed.", tables.in_flight.len()),
        ("hashi_outcomes", "Messages whose confirmations are counted.", tables.in_flight.outcomes.len()),
        ("hashi_waiting_requests", "Requests that wait for confirmations.", tables.waits.len()),
        ("hashi_remembered_ids", "Ids that are remembered.", tables.dedup.len()),
        ("hashi_stored_messages", "Messages stored.", tables.messages.len()),
        ("hashi_stored_bytes", "Bytes of stored messages.", tables.messages.used_bytes()),
        ("hashi_input_bytes", "Bytes of unfinished input.", tables.connections.input_bytes()),
        ("hashi_commands_waiting", "Commands from other threads that wait for the loop.", o.commands_waiting),
        ("hashi_handlers_pending", "Messages in handlers or waiting for them.", o.handlers.pending()),
        (
            "hashi_handlers_held_bytes",
            "Bytes of messages in handlers or waiting.",
            o.delivery.held_bytes.load(Ordering::Relaxed),
        ),
        ("hashi_workers_lost", "Workers stuck in handlers.", o.handlers.lost_workers()),
    ];
    for (name, help, value) in single {
        family(out, name, help, "gauge");
        line(out, name, "", value as f64);
    }
    family(out, "hashi_uptime_seconds", "Seconds since the start.", "gauge");
    line(out, "hashi_uptime_seconds", "", o.delivery.now.ns as f64 / 1e9);
}

fn summaries(out: &mut String, metrics: &Metrics) {
    family(out, "hashi_latency_seconds", "From publication to the last write.", "summary");
    summary(out, "hashi_latency_seconds", "", &metrics.latency_ns);
    family(out, "hashi_tick_seconds", "Length of a tick without its wait.", "summary");
    summary(out, "hashi_tick_seconds", "", &metrics.tick_ns);
    family(out, "hashi_tick_stage_seconds", "Length of a stage, in some of the ticks.", "summary");
    for stage in Stage::ALL {
        let label = format!("stage=\"{}\"", stage.name());
        summary(out, "hashi_tick_stage_seconds", &label, metrics.stages.of(stage));
    }
}

/// The lines of one summary; `label` is empty or one label.
fn summary(out: &mut String, name: &str, label: &str, histogram: &Histogram<u64>) {
    let comma = if label.is_empty() { "" } else { "," };
    for quantile in [0.5, 0.9, 0.99, 0.999] {
        let seconds = histogram.value_at_quantile(quantile) as f64 / 1e9;
        line(out, name, &format!("{{{label}{comma}quantile=\"{quantile}\"}}"), seconds);
    }
    let labels = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
    let sum = histogram.mean() * histogram.len() as f64 / 1e9;
    line(out, &format!("{name}_sum"), &labels, if sum.is_nan() { 0.0 } else { sum });
    line(out, &format!("{name}_count"), &labels, histogram.len() as f64);
}

fn family(out: &mut String, name: &str, help: &str, kind: &str) {
    // ok because writing to a `String` does not fail
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    let _ = writeln!(out, "{name}{labels} {value}");
}
