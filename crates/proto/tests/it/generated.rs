//! Keeps `src/gen` equal to what the `.proto` files generate. `POCKET_PROTO_WRITE=1 cargo test -p pocket-proto` writes it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;

const WRITE: &str = "POCKET_PROTO_WRITE";

fn room() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All `.proto` files below `folder`, relative to `root`, sorted.
fn protos(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            protos(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
}

/// Every generated file by name.
fn generate() -> BTreeMap<String, Vec<u8>> {
    let root = room().join("proto");
    let mut files = Vec::new();
    protos(&root, &root, &mut files);
    assert!(files.len() > 20, "only {} .proto files below {}", files.len(), root.display());

    let mut compiler = protox::Compiler::new([&root]).unwrap();
    compiler.include_source_info(true).include_imports(true).open_files(&files).unwrap_or_else(|error| {
        panic!("{error:?}");
    });
    let mut descriptors = compiler.file_descriptor_set();

    let out = tempfile::tempdir().unwrap();
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(out.path())
        .include_file("mod.rs")
        .btree_map(".")
        .bytes(".pocket.service")
        .bytes(".pocket.ha")
        .emit_rerun_if_changed(false)
        .compile_fds_with_config(descriptors.clone(), config)
        .unwrap();

    let mut generated: BTreeMap<String, Vec<u8>> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();

    // Reflection and JSON need names and numbers, not comments.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors.file.sort_by(|a, b| a.name.cmp(&b.name));
    generated.insert("descriptor.bin".to_owned(), descriptors.encode_to_vec());
    generated
}

#[test]
fn regenerating_gives_the_same_bytes() {
    let folder = room().join("src/gen");
    let generated = generate();
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, bytes) in &generated {
            fs::write(folder.join(name), bytes).unwrap();
        }
        return;
    }
    let committed: Vec<String> = {
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let expected: Vec<String> = generated.keys().cloned().collect();
    assert_eq!(
        committed,
        expected,
        "files in {}; to write them: {WRITE}=1 cargo test -p pocket-proto",
        folder.display()
    );
    for (name, bytes) in &generated {
        assert!(
            fs::read(folder.join(name)).unwrap() == *bytes,
            "{name} is not what the .proto files generate; to write it: {WRITE}=1 cargo test -p pocket-proto"
        );
    }
}
