//! Python with packages from PyPI, and scripts that run in it.

#![expect(clippy::disallowed_methods, reason = "the harness starts Python")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A virtual environment.
pub(crate) struct Python(PathBuf);

impl Python {
    /// In a folder of its own.
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let environment = folder.join("python");
        Self::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .map_err(|why| format!("no Python with venv: {why}"))?;
        Ok(Self(environment))
    }

    /// Packages from PyPI.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<(), String> {
        Self::run(
            Command::new(self.0.join("bin/pip")).args(["install", "--quiet", "--no-compile"]).args(packages),
        )
        .map_err(|why| format!("not from PyPI: {why}"))
    }

    fn run(command: &mut Command) -> Result<(), String> {
        match command.stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{command:?}: {status}")),
            Err(error) => Err(format!("{command:?}: {error}")),
        }
    }
}

/// A script in a process of its own: a JSON value a line in, one a line out. It ends with its input.
pub(crate) struct Script {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Script {
    pub(crate) fn start(python: &Python, script: &str, arguments: &[&str]) -> Result<Self, String> {
        let mut child = Command::new(python.0.join("bin/python"))
            .args(["-c", script])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("Python does not start: {error}"))?;
        let answers = BufReader::new(child.stdout.take().ok_or("Python has no output")?);
        let questions = child.stdin.take();
        Ok(Self { child, questions, answers })
    }

    /// Asks, and hears the answer.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        self.hear()
    }

    /// What it says next.
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
