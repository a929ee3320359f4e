//! A registry on loopback that holds the fat corpus. It ends with its value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Tools;

pub(crate) struct Registry {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Registry {
    /// distribution's, with files, into which crane pushes.
    pub(crate) fn start(tools: &Tools, folder: &Path, layout: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (config, log) = (folder.join("config.yml"), folder.join("log"));
        let yaml = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: false}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            folder.display()
        );
        std::fs::write(&config, yaml).unwrap();
        let (out, error) = (
            std::fs::File::create(&log).unwrap(),
            std::fs::File::create(folder.join("errors")).unwrap(),
        );
        let mut command = Command::new(&tools.registry);
        command
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(error);
        let mut registry = Self { child: command.spawn().unwrap(), port, log };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                registry.child.try_wait().unwrap().is_none() && Instant::now() < deadline,
                "the registry did not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let pushed = Command::new(&tools.crane)
            .arg("push")
            .arg(layout)
            .arg(registry.image())
            .output()
            .unwrap();
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
        registry
    }

    pub(crate) fn image(&self) -> String {
        format!("127.0.0.1:{}/fat:latest", self.port)
    }

    /// Bytes of all answers so far, by its log: `address - - [date] "GET /v2/… HTTP/1.1" 200 BYTES
    /// …`.
    pub(crate) fn sent(&self) -> u64 {
        let answers = std::fs::read_to_string(&self.log).unwrap();
        let sizes = answers.lines().filter_map(|line| {
            line.split('"').nth(2)?.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        sizes.sum()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
