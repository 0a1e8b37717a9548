//! Commands and flags, as shells complete them.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::{Cli, CompletedShell, CompletionsArgs};
use crate::console;
use crate::refusal::End;

/// `thalweg completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> End {
    let shell = match args.shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "thalweg", &mut script);
    console::text(&String::from_utf8_lossy(&script));
    End::Clean
}
