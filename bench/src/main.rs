//! `bench spine`: measures, prints, writes; says by its exit code whether every target is met.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use loadtest::failure::Failure;
use serde::Serialize;
use volery_bench::bench::{Bench, Programs, Sizes};
use volery_bench::figure::{Row, Share, table};
use volery_bench::suite::{SPINE, spine};

/// What Volery costs, figure by figure, each against its target
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Which suite
    #[arg(value_enum, default_value_t = Suite::Spine)]
    suite: Suite,
    /// Only these figures; may be said more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How often each figure is taken
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Lists the figures
    #[arg(long)]
    list: bool,
    /// Small sizes, to try the suite itself: its figures then say nothing
    #[arg(long)]
    tiny: bool,
    /// The folder of the programs [default: the one of this program]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where the results go, and data while it runs: on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// One machine, one process, the embedded engines
    Spine,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        SPINE.iter().for_each(|spec| println!("{:<30} {}", spec.name, spec.what));
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(missed) if missed.is_empty() => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("\nmissed: {}", missed.join(", "));
            ExitCode::FAILURE
        }
        Err(Failure(what)) => {
            eprintln!("bench: {what}");
            ExitCode::from(2)
        }
    }
}

/// The figures that miss their targets.
fn run(arguments: &Arguments) -> Result<Vec<&'static str>, Failure> {
    let Suite::Spine = arguments.suite;
    if let Some(unknown) = arguments.only.iter().find(|only| SPINE.iter().all(|spec| spec.name != **only)) {
        return Err(Failure(format!("there is no figure {unknown}; --list names them")));
    }
    let own = std::env::current_exe()?;
    let programs = arguments.programs.as_deref().or_else(|| own.parent()).unwrap_or(Path::new("."));
    let bench = Bench {
        programs: Programs::of(programs),
        data: arguments.out.join("data"),
        rounds: usize::from(arguments.rounds),
        sizes: if arguments.tiny { Sizes::TINY } else { Sizes::FULL },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (rows, shares) = tokio::task::LocalSet::new().block_on(&runtime, spine(&bench, &arguments.only));
    println!("\n{}", table(&rows, &shares));
    write::<Row>(&arguments.out.join("spine.json"), &rows)?;
    write::<Share>(&arguments.out.join("spine-shares.json"), &shares)?;
    Ok(rows.iter().filter(|row| !row.ok).map(|row| row.name).collect())
}

fn write<T: Serialize>(file: &Path, content: &[T]) -> Result<(), Failure> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(file, serde_json::to_vec_pretty(content)?)?)
}
