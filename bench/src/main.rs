//! `bench SUITE`: measures, prints, writes; says by its exit code whether every target is met.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use loadtest::failure::Failure;
use serde::Serialize;
use volery_bench::bench::{Bench, Programs, Sizes};
use volery_bench::figure::{Row, Share, table};
use volery_bench::suite::{SUITES, Suite};

/// What Volery costs, figure by figure, each against its target
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Which suite
    #[arg(default_value = "spine", value_parser = PossibleValuesParser::new(SUITES.map(|suite| suite.name)))]
    suite: String,
    /// Only these figures; may be said more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How often each figure is taken
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Lists the figures of all suites
    #[arg(long)]
    list: bool,
    /// Small sizes, to try the suite itself: its figures then say nothing
    #[arg(long)]
    tiny: bool,
    /// The folder of the programs [default: the one of this program]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// What starts Kafka and Cassandra
    #[arg(long, value_name = "FILE", default_value = "engines/engines")]
    engines: PathBuf,
    /// Where the results go, and data while it runs: on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for suite in SUITES {
            suite.figures.iter().for_each(|spec| println!("{:<8} {:<33} {}", suite.name, spec.name, spec.what));
        }
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
    let name = &arguments.suite;
    let suite = Suite::named(name).ok_or_else(|| Failure(format!("there is no suite {name}")))?;
    if let Some(unknown) = arguments.only.iter().find(|only| suite.figures.iter().all(|spec| spec.name != **only)) {
        return Err(Failure(format!("suite {name} has no figure {unknown}; --list names them")));
    }
    let own = std::env::current_exe()?;
    let programs = arguments.programs.as_deref().or_else(|| own.parent()).unwrap_or(Path::new("."));
    let bench = Bench {
        programs: Programs::of(programs, &arguments.engines),
        data: arguments.out.join("data"),
        rounds: usize::from(arguments.rounds),
        sizes: if arguments.tiny { Sizes::TINY } else { Sizes::FULL },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (rows, shares) = tokio::task::LocalSet::new().block_on(&runtime, suite.take(&bench, &arguments.only));
    println!("\n{}", table(&rows, &shares));
    write::<Row>(&arguments.out.join(format!("{name}.json")), &rows)?;
    write::<Share>(&arguments.out.join(format!("{name}-shares.json")), &shares)?;
    Ok(rows.iter().filter(|row| !row.ok).map(|row| row.name).collect())
}

fn write<T: Serialize>(file: &Path, content: &[T]) -> Result<(), Failure> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(file, serde_json::to_vec_pretty(content)?)?)
}
