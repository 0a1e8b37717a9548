//! What a shell and a packager ask of the program: completions that work, and what this build is.

#![allow(clippy::unwrap_used)]

mod command;

use std::io::Write;
use std::process::{Command, Stdio};

use command::run;

/// What bash offers at the end of this line, with the completions of the program.
fn offered(line: &str) -> Vec<String> {
    let script = run(&["completions", "bash"]);
    assert_eq!(script.code, 0, "{script:?}");
    let words: Vec<&str> = line.split(' ').collect();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = words.last().unwrap();
    let before = words[words.len() - 2];
    let asked = format!(
        "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_thalweg thalweg '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        script.out,
        quoted.join(" "),
        words.len() - 1
    );
    let mut bash = Command::new("bash")
        .args(["--norc", "-eu"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin
        .take()
        .unwrap()
        .write_all(asked.as_bytes())
        .unwrap();
    let said = bash.wait_with_output().unwrap();
    assert!(said.status.success(), "{line}");
    String::from_utf8(said.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_completes_commands_subcommands_and_flags() {
    assert_eq!(offered("thalweg che"), ["check", "checkpoint"]);
    assert_eq!(offered("thalweg checkpoint ro"), ["rollback"]);
    assert_eq!(offered("thalweg run --hold"), ["--hold-on-refusal"]);
    assert_eq!(offered("thalweg run --log-format j"), ["json"]);
}

#[test]
fn zsh_and_fish_are_told_of_every_command() {
    let help = run(&["--help"]);
    let commands = help.out.split("Commands:\n").nth(1).unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(names.contains(&"run") && names.len() > 10, "{names:?}");
    let begins = [
        ("zsh", "#compdef thalweg"),
        ("fish", "function __fish_thalweg"),
    ];
    for (shell, begin) in begins {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, 0, "{script:?}");
        assert!(script.out.contains(begin), "{shell}: {}", script.out);
        for name in &names {
            assert!(script.out.contains(name), "{shell} knows no {name}");
        }
    }
    assert_eq!(run(&["completions", "csh"]).code, 2);
}

#[test]
fn a_build_says_its_version_its_features_and_its_commit() {
    let said = run(&["version"]);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], concat!("thalweg ", env!("CARGO_PKG_VERSION")));
    let features = lines[1].strip_prefix("features  ").unwrap();
    assert_eq!(features.contains("parquet"), cfg!(feature = "parquet"));
    assert_eq!(features.contains("onnx"), cfg!(feature = "onnx"));
    assert!(lines[2].starts_with("commit    "), "{said:?}");
}

#[test]
fn what_cannot_be_said_on_a_full_disk_is_an_error_and_a_reader_that_has_gone_is_none() {
    for arguments in [
        &["help"][..],
        &["help", "run"],
        &["run", "--help"],
        &["--version"],
        &["version"],
        &["functions"],
        &["completions", "zsh"],
    ] {
        let program = || Command::new(env!("CARGO_BIN_EXE_thalweg"));
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let said = program().args(arguments).stdout(full).output().unwrap();
        let why = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(1), "{arguments:?}: {why}");
        assert!(
            why.contains("stdout cannot be written"),
            "{arguments:?}: {why}"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = program().args(arguments).stdout(writer).output().unwrap();
        assert_eq!(said.status.code(), Some(0), "{arguments:?}: {said:?}");
        assert!(said.stderr.is_empty(), "{arguments:?}: {said:?}");
    }
}
