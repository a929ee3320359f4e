//! A run that is ended from outside: private files are removed, nothing is tagged, the exit code
//! says what happened.

use std::process::Stdio;
use std::time::Duration;

use crate::support::World;

#[tokio::test]
async fn a_terminated_run_leaves_no_file_and_no_name() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut world = World::new().await;
        world.set("FAKE_BUILDX", "slow").set("INPUT_SECRETS", "token=s3cr3t-value");
        let child = world.command().stderr(Stdio::piped()).spawn().unwrap();
        while !world.left_behind().iter().any(|folder| folder.join("secret-0").exists()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let pid = child.id().unwrap().to_string();
        assert!(
            std::process::Command::new("kill")
                .args([&format!("-{signal}"), &pid])
                .status()
                .unwrap()
                .success()
        );
        let output = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output())
            .await
            .expect("it ends at once")
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new(), "{log}");
        assert!(world.tags().await.is_empty());
    }
}
