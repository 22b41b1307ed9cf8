//! Does what one typed: a run against a target, and its report.

use std::path::Path;
use std::time::Duration;

use volery_tls::Trust;

use crate::cli::{Arguments, Common, What};
use crate::failure::Failure;
use crate::load::Span;
use crate::report::data::{Machine, Report, distributions, figures};
use crate::report::{self, html, nodes};
use crate::scenario::{Plan, Scenario};
use crate::server::{Setup, beside};
use crate::target::{Running, Target};
use crate::verdict::judge;
use crate::{clock, idle, process};

/// Files that a process has open beside the sockets of its sessions.
const FILES_BESIDE: u64 = 1_000;

/// Does what was asked; `command` is how. False if a promise was broken.
///
/// # Errors
/// A sentence that says what to do.
pub fn run(arguments: &Arguments, command: String) -> Result<bool, Failure> {
    let Arguments { what, common } = arguments;
    match what {
        What::Idle { sessions } => idle_run(common, *sessions as usize, command).map(|()| true),
        _ => what.scenario().map_or(Ok(true), |scenario| measured_run(common, what.users(), scenario, command)),
    }
}

fn measured_run(common: &Common, users: usize, scenario: Scenario, command: String) -> Result<bool, Failure> {
    let devices = users * scenario.devices();
    enough_files(devices)?;
    let target = target(common, users)?;
    let span = span(common);
    let history = (!common.no_check).then(|| command.clone());
    let (begun, until) = (common.begun.clone(), common.until.clone());
    let plan = Plan { scenario, span, begun, until, bytes: common.bytes as usize, history };
    let mut outcome = local(crate::scenario::run(&target, &plan))?;
    let evidence = common.out.join(format!("{}.history", plan.scenario.name()));
    let verdict = outcome.history.take().map(|history| judge(&history, common.history.as_deref(), &evidence));
    let report = Report {
        scenario: plan.scenario.name().to_owned(),
        command,
        ended: clock::wall().0,
        machine: Machine::here(),
        place: target.place(),
        seconds: outcome.seconds,
        devices,
        figures: figures(&outcome),
        distributions: distributions(&outcome),
        nodes: nodes::nodes(&outcome),
        moves: nodes::moves(&outcome.tally),
        bursts: nodes::bursts(&outcome),
        samples: outcome.samples,
        storm: outcome.weather,
        memory: Vec::new(),
        errors: outcome.errors,
        verdict: verdict.transpose()?,
    };
    tell(&report, &common.out)?;
    Ok(report.verdict.is_none_or(|verdict| verdict.is_good()))
}

fn idle_run(common: &Common, sessions: usize, command: String) -> Result<(), Failure> {
    enough_files(idle::users(sessions))?;
    let target = target(common, idle::users(sessions))?;
    let Some(server) = target.server() else {
        return Err(Failure("idle weighs the server's process: it needs one of its own, without --gateway".to_owned()));
    };
    let points: Vec<usize> = (1..=5).map(|fifth| sessions * fifth / 10 * 2).collect();
    let idle = local(idle::run(server, &points, span(common)))?;
    let report = Report {
        scenario: "idle".to_owned(),
        command,
        ended: clock::wall().0,
        machine: Machine::here(),
        place: target.place(),
        seconds: 0.0,
        devices: sessions,
        figures: idle.figures(),
        distributions: Vec::new(),
        samples: Vec::new(),
        nodes: Vec::new(),
        moves: Vec::new(),
        bursts: Vec::new(),
        storm: None,
        memory: idle.points,
        errors: Vec::new(),
        verdict: None,
    };
    tell(&report, &common.out)
}

fn span(common: &Common) -> Span {
    Span { warm_up: Duration::from_secs(common.warm_up), measured: Duration::from_secs(common.seconds) }
}

fn tell(report: &Report, out: &Path) -> Result<(), Failure> {
    report::print(&report.figures);
    println!("{}", nodes::tables(&report.nodes, &report.moves));
    for (code, count) in &report.errors {
        println!("error {code}: {count}");
    }
    match &report.verdict {
        Some(verdict) => verdict.print(),
        None => println!("\nchecker: this run was not checked"),
    }
    let file = |ending: &str| out.join(format!("{}.{ending}", report.scenario));
    report::save(&file("json"), &serde_json::to_vec_pretty(report)?)?;
    report::save(&file("html"), html::page(report).as_bytes())?;
    println!("\nreport: {}", file("html").display());
    Ok(())
}

fn target(common: &Common, users: usize) -> Result<Target, Failure> {
    let trust = Trust::of(common.ca.as_deref())?;
    let target = match (&common.gateway, &common.users) {
        (Some(gateway), Some(file)) => {
            Target::running(&Running { gateway: gateway.clone(), trust, users: file.clone() }, users)
        }
        (Some(gateway), None) => Target::registering(gateway, &trust, users),
        (None, _) => Target::start(&setup(common, trust, users)),
    };
    Ok(target?.probed(&common.probes))
}

fn setup(common: &Common, trust: Trust, users: usize) -> Setup {
    let (data, settings) = (common.data.clone(), common.settings.clone());
    Setup { binary: common.server.clone().unwrap_or_else(beside), data, settings, trust, ..Setup::new(users) }
}

fn enough_files(devices: usize) -> Result<(), Failure> {
    let files = devices as u64 + FILES_BESIDE;
    if process::files_allowed() < files {
        return Err(Failure(format!(
            "{files} open files are needed: say `ulimit -n {files}` first, or use fewer devices"
        )));
    }
    Ok(())
}

/// Everything lives on this thread.
fn local<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
