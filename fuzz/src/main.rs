//! Findings by hand: which targets there are, their valid inputs as files, one input again, one to keep.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use volery_fuzz::drive::{once, unhex};
use volery_fuzz::{TARGETS, Target, kept, target};

const USAGE: &str = "fuzz list              the targets
fuzz seeds TARGET DIR  writes the target's valid and kept inputs into DIR, one file each
fuzz run TARGET FILE…  runs the target on files
fuzz keep TARGET HEX   keeps an input: the gate runs it first from then on";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["seeds", name, folder] => named(name).and_then(|target| seeds(target, Path::new(folder))),
        ["run", name, files @ ..] => named(name).and_then(|target| files.iter().try_for_each(|file| run(target, file))),
        ["keep", name, hex] => named(name).and_then(|target| keep(target, hex)),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn named(name: &str) -> Result<&'static Target, Box<dyn Error>> {
    target(name).ok_or_else(|| format!("there is no target {name}: `list` shows them").into())
}

fn seeds(target: &Target, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let kept = kept::load(target.name)?.into_iter().map(|(_, bytes)| bytes);
    for (n, seed) in (target.seeds)().into_iter().chain(kept).enumerate() {
        fs::write(folder.join(format!("seed-{n}")), seed)?;
    }
    Ok(())
}

fn run(target: &Target, file: &str) -> Result<(), Box<dyn Error>> {
    let verdict = once(target, &fs::read(file)?)?;
    println!("{file}: {verdict:?}");
    Ok(())
}

fn keep(target: &Target, hex: &str) -> Result<(), Box<dyn Error>> {
    let input = unhex(hex).ok_or("these are no hexadecimal digits")?;
    println!("{}", kept::keep(target.name, &input)?.display());
    Ok(())
}
