//! The JavaScript originals, as `tests/interop/package-lock.json` pins them.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The directory with the originals installed in it, or `None` where there is no Node 20: then `story` is skipped, loudly,
/// unless this is CI, where it fails.
pub(crate) fn originals(story: &str) -> Option<&'static Path> {
    static ORIGINALS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match ORIGINALS.get_or_init(|| node_20().map(|()| install())) {
        Ok(directory) => Some(directory),
        Err(lack) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{story} needs Node 20 and npm: {lack}");
            // Not eprintln!, which the test harness captures and does not show for a test that passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {story} needs Node 20 and npm: {lack}");
            None
        }
    }
}

fn node_20() -> Result<(), String> {
    let version = output_of(Command::new("node").arg("--version"))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Err(format!("this is Node {}", version.trim()));
    }
    output_of(Command::new("npm").arg("--version")).map(drop)
}

/// Runs `npm ci` where what is installed is not what the lock says. One process at a time: test binaries run side by side.
fn install() -> PathBuf {
    // The examples are a package in a directory of the root package.
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let directory = packages.map(|package| package.join("tests/interop")).find(|directory| directory.is_dir());
    let directory = directory.expect("tests/interop is part of the repository");
    // Cargo tells it to tests, and to examples not.
    let temporary = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let guard = File::create(temporary.join("npm-ci.lock")).expect("a lock file");
    guard.lock().expect("the lock on npm ci");

    let lock = fs::read(directory.join("package-lock.json")).expect("package-lock.json is part of the repository");
    let installed = directory.join("node_modules/.installed-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return directory;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&directory);
    if let Err(error) = output_of(&mut npm) {
        panic!("npm ci failed in {}: {error}", directory.display());
    }
    fs::write(&installed, lock).expect("a note of what is installed");
    directory
}

fn output_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{:?} ended with {}\n{}", command, output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
