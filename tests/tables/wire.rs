//! The session byte for byte, against scripted servers: every `wire/*.txt` is a script.

mod fake;
mod message;
mod script;
mod world;

use std::path::PathBuf;

#[tokio::test]
async fn scripts() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tables/wire");
    let only = std::env::var("PGWEAVE_SCRIPT").unwrap_or_default();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "txt") && path.to_string_lossy().contains(&only));
    paths.sort();
    assert!(!paths.is_empty(), "no scripts");
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut scene = world::Scene::start().await;
        if let Err(error) = script::run(&text, &mut scene).await {
            wrong.push(format!("{} {error}", path.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}
