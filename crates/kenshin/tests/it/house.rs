//! The house keeps its own rules: the map is true, files stay short, dependencies are used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn folders(path: &Path) -> BTreeSet<String> {
    fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn files(path: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir()
            && !["target", "node_modules", "dist", "generated", "test-output"].contains(&name)
            && !name.starts_with('.')
        {
            files(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

#[test]
fn the_map_in_architecture_names_every_folder_and_no_other() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mapped: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(folder, _)| folder.to_owned()))
        .filter(|folder| !folder.contains("::"))
        .collect();
    let mut there: BTreeSet<String> =
        folders(&root().join("crates")).into_iter().map(|name| format!("crates/{name}")).collect();
    there.extend(
        folders(&root())
            .into_iter()
            .filter(|name| !["crates", "target", "test-output"].contains(&name.as_str())),
    );
    assert_eq!(mapped, there);
}

fn manifests() -> BTreeMap<String, toml::Table> {
    folders(&root().join("crates"))
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(root().join("crates").join(&name).join("Cargo.toml")).unwrap();
            (name, toml::from_str(&text).unwrap())
        })
        .collect()
}

/// DESIGN.md §3: which room may depend on which.
#[test]
fn rooms_depend_only_on_those_they_may() {
    let may: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("observation", &[][..]),
        ("wire", &[]),
        ("mandate", &["observation"]),
        ("survey", &["mandate", "wire", "observation"]),
        ("stage", &["wire", "observation"]),
        ("lake", &["observation"]),
        ("insight", &["observation"]),
        ("casework", &["observation"]),
        ("exchange", &["observation"]),
        (
            "observatory",
            &["observation", "wire", "mandate", "survey", "stage", "lake", "insight", "casework", "exchange"],
        ),
        ("web", &["observatory", "observation", "casework", "lake", "mandate", "survey", "insight"]),
        (
            "kenshin",
            &[
                "observation",
                "wire",
                "mandate",
                "survey",
                "stage",
                "lake",
                "insight",
                "casework",
                "exchange",
                "observatory",
                "web",
            ],
        ),
    ]);
    for (name, manifest) in manifests() {
        let allowed = may.get(name.as_str()).unwrap_or_else(|| panic!("crates/{name} is not in the design"));
        let Some(dependencies) = manifest.get("dependencies").and_then(|d| d.as_table()) else { continue };
        for dependency in dependencies.keys().filter_map(|d| d.strip_prefix("kenshin-")) {
            assert!(allowed.contains(&dependency), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn every_dependency_is_used() {
    for (room, manifest) in manifests() {
        let folder = root().join("crates").join(&room);
        let mut sources = Vec::new();
        files(&folder, &[".rs"], &mut sources);
        let text: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(|d| d.as_table()) else { continue };
            for dependency in dependencies.keys() {
                // The one crate whose library has another name than its package.
                let name = if dependency == "md-5" { "md5".to_owned() } else { dependency.replace('-', "_") };
                let used = text.contains(&name);
                assert!(used, "crates/{room} does not use `{dependency}` of its {table}");
            }
        }
    }
}

#[test]
fn no_source_file_is_longer_than_a_thousand_lines() {
    let mut sources = Vec::new();
    files(&root(), &[".rs", ".ts", ".tsx"], &mut sources);
    assert!(sources.len() > 100, "the walk finds the sources");
    // Generated from the description of the API; a test of `ui` holds it current.
    sources.retain(|path| !path.ends_with("ui/src/api/schema.d.ts"));
    for path in sources {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 1000, "{} has {lines} lines; split it by noun", path.display());
    }
}

#[test]
fn the_lock_file_of_the_user_interface_names_no_host() {
    let text = fs::read_to_string(root().join("ui/package-lock.json")).unwrap();
    assert!(
        !text.contains("\"resolved\": \"http"),
        "npm config set omit-lockfile-registry-resolved true, then npm install"
    );
}
