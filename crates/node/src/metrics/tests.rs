//! What a scrape shows, and that the reference and the scrape are about the same metrics.

use super::*;
use volery_kernel::code::{Close, Code};

fn names_and_types(scrape: &str) -> Vec<(&str, &str)> {
    scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

#[test]
fn every_label_finds_its_own_series() {
    let metrics = Metrics::new().expect("the table holds");
    for (count, &code) in (1..).zip(Code::ALL) {
        metrics.errors.of(code).inc_by(count);
    }
    for (count, &close) in (1..).zip(Close::ALL) {
        metrics.closes.of(close).inc_by(count);
    }
    metrics.messages.of(Stage::Archived).inc();
    metrics.queue_bytes.of(Queue::Tail).set(7);
    metrics.engine_errors.of(EngineCall::TimelineApply).inc_by(3);
    let scrape = metrics.render().expect("text");
    assert!(scrape.contains("volery_engine_errors_total{call=\"apply\",engine=\"timeline\"} 3\n"));
    assert!(scrape.contains("volery_engine_errors_total{call=\"append\",engine=\"log\"} 0\n"));
    for (count, code) in (1..).zip(Code::ALL) {
        let line = format!("volery_errors_total{{code=\"{code}\"}} {count}\n");
        assert!(scrape.contains(&line), "{line}");
    }
    for (count, close) in (1..).zip(Close::ALL) {
        let line = format!("volery_closes_total{{reason=\"{}\"}} {count}\n", close.text());
        assert!(scrape.contains(&line), "{line}");
    }
    assert!(scrape.contains("volery_messages_total{stage=\"archived\"} 1\n"));
    assert!(scrape.contains("volery_messages_total{stage=\"accepted\"} 0\n"));
    assert!(scrape.contains("volery_queue_bytes{queue=\"tail\"} 7\n"));
}

#[test]
fn two_nodes_of_one_process_count_for_themselves() {
    let (one, other) = (Metrics::new().expect("the table holds"), Metrics::new().expect("the table holds"));
    one.sessions.set(3);
    assert!(one.render().expect("text").contains("volery_sessions 3\n"));
    assert!(other.render().expect("text").contains("volery_sessions 0\n"));
}

#[test]
fn clients_cannot_make_series() {
    let metrics = Metrics::new().expect("the table holds");
    metrics.http_requests.answered("/v1/login", "POST", 200);
    metrics.http_requests.answered("other", "BREW", 405);
    metrics.http_request_seconds.took("/v1/login", 0.001);
    let scrape = metrics.render().expect("text");
    assert!(scrape.contains("volery_http_requests_total{method=\"POST\",route=\"/v1/login\",status=\"200\"} 1\n"));
    assert!(scrape.contains("volery_http_requests_total{method=\"other\",route=\"other\",status=\"405\"} 1\n"));
    assert!(scrape.contains("volery_http_request_seconds_bucket{route=\"/v1/login\",le=\"0.0016\"} 1\n"));
}

#[test]
fn the_reference_and_the_scrape_name_the_same_metrics() {
    let metrics = Metrics::new().expect("the table holds");
    metrics.http_requests.answered("/", "GET", 200);
    metrics.http_request_seconds.took("/", 0.1);
    let (scrape, page) = (metrics.render().expect("text"), reference());
    let scraped = names_and_types(&scrape);
    for &(name, kind) in &scraped {
        assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name} is not documented");
    }
    let documented = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(documented, scraped.len());
}

#[test]
fn the_process_shows_its_memory_and_time() {
    let scrape = Metrics::new().and_then(|metrics| metrics.render()).expect("text");
    let value = |name: &str| -> f64 {
        let line = scrape.lines().find_map(|line| line.strip_prefix(name)).expect("there on Linux");
        line.trim().parse().expect("a number")
    };
    assert!(value("process_resident_memory_bytes ") > 100_000.0);
    assert!(value("process_open_fds ") <= value("process_max_fds "));
    assert!(value("process_threads ") >= 1.0);
}
