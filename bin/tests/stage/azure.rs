//! An Azure Blob Storage on loopback, started by the project's script, with the container `shop`.

use std::path::Path;

use super::{PATIENCE, Running, Said, Served};

/// A server of its own for each story.
pub struct Azure(Served);

impl Azure {
    pub fn start() -> Self {
        Self(Served::start("azure.sh"))
    }

    /// The story's folder.
    pub fn dir(&self) -> &Path {
        self.0.dir()
    }

    /// Writes a job into the story's folder.
    pub fn job(&self, name: &str, text: &str) {
        std::fs::write(self.dir().join(name), text).unwrap();
    }

    /// Starts a command; the environment says where the server is.
    pub fn run(&self, arguments: &[&str]) -> Running {
        let mut command = self.0.command(arguments);
        command
            .env("AZURE_STORAGE_USE_EMULATOR", "true")
            .env("AZURITE_BLOB_STORAGE_URL", self.0.url());
        Running::start(command)
    }

    /// Runs a command to its end.
    pub fn call(&self, arguments: &[&str]) -> Said {
        self.run(arguments).end(PATIENCE)
    }
}
