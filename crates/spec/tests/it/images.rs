//! Images packed of real programs: the system's `true` stands for each of ours, since it is small.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use pocket_runtime::fs;
use pocket_spec::images::{self, CERTIFICATES, Image, PROBE, Source};
use pocket_spec::page::Overlay;
use pocket_spec::plan::Plan;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::{plan, root};

static PLAN: LazyLock<Plan> = LazyLock::new(|| plan(&Overlay::None));

/// Images of what [`programs`] makes, packed once for all who only look at them.
static PACKED: LazyLock<Vec<Image>> = LazyLock::new(|| {
    let folder = programs();
    images::pack(&PLAN, &source(folder.path())).unwrap_or_else(|error| panic!("{error:#}"))
});

/// A program of this machine, whatever it is linked with.
fn program() -> Vec<u8> {
    let path = std::env::var_os("PATH").expect("a path");
    let found = std::env::split_paths(&path).map(|folder| folder.join("true")).find(|file| file.exists());
    fs::read(found.expect("every Linux has `true`")).expect("read")
}

/// A folder with a program under each name of ours. A byte behind its end tells them apart, and no loader minds.
fn programs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, name) in names().iter().enumerate() {
        let mut bytes = program();
        bytes.resize(bytes.len() + index, 0);
        write(&folder.path().join(name), &bytes, "755");
    }
    folder
}

fn write(path: &Path, bytes: &[u8], mode: &str) {
    fs::write_atomic(path, bytes).expect("written");
    done(Command::new("chmod").arg(mode).arg(path));
}

/// What the plan calls ours, and the client of health checks.
fn names() -> Vec<String> {
    let ours = PLAN.images.values().filter_map(|image| image.binary.clone());
    ours.chain([PROBE.to_owned()]).collect()
}

fn source(programs: &Path) -> Source {
    Source {
        programs: programs.to_owned(),
        certificates: CERTIFICATES.map(PathBuf::from).into(),
        address: None,
        revision: Some("abc".to_owned()),
    }
}

#[track_caller]
fn refusal(source: &Source) -> String {
    let error = images::pack(&PLAN, source).map(|_| ()).expect_err("this must be refused");
    format!("{error:#}")
}

#[track_caller]
fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// An entry of an archive, as its header says.
#[derive(Debug)]
struct Entry {
    path: String,
    mode: u64,
    owner: u64,
    group: u64,
    modified: u64,
    kind: u8,
    bytes: Vec<u8>,
}

fn entries(archive: &[u8]) -> Vec<Entry> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.split(|byte| *byte == 0).next().expect("a part").to_vec());
    let number = |bytes: &[u8]| u64::from_str_radix(text(bytes).expect("ascii").trim(), 8).expect("an octal number");
    let mut entries = Vec::new();
    let mut rest = archive;
    while rest[0] != 0 {
        let (header, body) = rest.split_at(512);
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(number(&header[148..156]), sum - own + 8 * 32, "the header's sum");
        let size = usize::try_from(number(&header[124..136])).expect("small");
        let (prefix, name) = (text(&header[345..500]).expect("utf-8"), text(&header[..100]).expect("utf-8"));
        entries.push(Entry {
            path: if prefix.is_empty() { name } else { format!("{prefix}/{name}") },
            mode: number(&header[100..108]),
            owner: number(&header[108..116]),
            group: number(&header[116..124]),
            modified: number(&header[136..148]),
            kind: header[156],
            bytes: body[..size].to_vec(),
        });
        rest = &body[size.next_multiple_of(512)..];
    }
    assert!(rest.len() == 1024 && rest.iter().all(|byte| *byte == 0), "two empty blocks end an archive");
    entries
}

/// The files of a layout by path.
fn files(image: &Image) -> BTreeMap<String, Vec<u8>> {
    entries(&image.bytes).into_iter().map(|entry| (entry.path, entry.bytes)).collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// What a descriptor leads to, its digest and size checked.
fn follow<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let said = descriptor["digest"].as_str().expect("a digest");
    let bytes = &files[&format!("blobs/{}", said.replace(':', "/"))];
    assert_eq!(said, digest(bytes));
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

fn plain(layer: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(layer).read_to_end(&mut plain).expect("gzip");
    plain
}

/// The layers of an image, followed from its index; all digests are checked on the way.
fn layers(image: &Image) -> Vec<Vec<u8>> {
    let files = files(image);
    assert_eq!(json(&files["oci-layout"]), serde_json::json!({ "imageLayoutVersion": "1.0.0" }));
    let index = json(&files["index.json"]);
    let manifest = json(follow(&files, &index["manifests"][0]));
    let config = json(follow(&files, &manifest["config"]));
    let layers: Vec<Vec<u8>> =
        manifest["layers"].as_array().expect("layers").iter().map(|layer| plain(follow(&files, layer))).collect();
    let plain: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!(plain));
    layers
}

#[test]
fn the_same_programs_give_the_same_bytes_whatever_folder_time_rights_and_user_settings() {
    let (here, there) = (programs(), programs());
    for file in fs::list(there.path()).expect("listed") {
        done(Command::new("chmod").arg("700").arg(&file));
        done(Command::new("touch").args(["-d", "2001-02-03 04:05:06"]).arg(&file));
    }
    let pack = |folder: &Path, settings: &str| {
        let out = folder.join("out");
        let script = format!("{settings} exec \"$0\" --root \"$1\" images --from \"$2\" --out \"$3\" --json");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_pocket-spec"));
        let written = json(&done(command.arg(root()).arg(folder).arg(&out)).stdout);
        let files: Vec<Vec<u8>> =
            fs::list(&out).expect("listed").iter().map(|file| fs::read(file).expect("read")).collect();
        (written, files)
    };
    let (said, first) = pack(here.path(), "umask 022;");
    let (_, second) =
        pack(there.path(), "umask 077; cd /; export TZ=Asia/Tokyo LC_ALL=tr_TR.UTF-8 SOURCE_DATE_EPOCH=1;");
    assert!(first == second, "two packings differ");
    let said = said.as_array().expect("a list");
    assert_eq!(said.len(), names().len() - 1);
    assert_eq!(said[0]["size"], first[0].len());
}

#[test]
fn every_image_of_ours_is_packed_under_the_name_that_compose_uses() {
    let compose = fs::read_to_string(root().join("tilt/docker/docker-compose.yaml")).expect("read");
    let images = &*PACKED;
    assert_eq!(images.len(), names().len() - 1);
    for Image { summary, .. } in images {
        assert!(compose.contains(&format!("image: {}\n", summary.reference)), "{}", summary.reference);
    }
}

#[test]
fn images_share_the_layer_with_libraries_and_have_one_of_their_own() {
    let images = &*PACKED;
    let (first, second) = (&images[0].summary, &images[1].summary);
    assert_eq!(first.layers.len(), 2);
    assert_eq!(first.layers[0], second.layers[0]);
    assert_ne!(first.layers[1], second.layers[1]);
}

#[test]
fn a_layouts_digests_hold_and_docker_finds_the_same_image_in_its_own_way() {
    for image in &*PACKED {
        let layers = layers(image);
        let files = files(image);
        let index = json(&files["index.json"]);
        assert_eq!(index["manifests"][0]["digest"], image.summary.digest);
        let legacy = &json(&files["manifest.json"])[0];
        assert_eq!(legacy["RepoTags"], serde_json::json!([image.summary.reference]));
        let config = &files[legacy["Config"].as_str().expect("a path")];
        assert_eq!(digest(config), image.summary.id);
        for (path, layer) in legacy["Layers"].as_array().expect("layers").iter().zip(&layers) {
            assert!(plain(&files[path.as_str().expect("a path")]) == *layer);
        }
        let config = &json(config)["config"];
        assert_eq!(config["User"], "1000:1000");
        assert_eq!(config["Env"], serde_json::json!(["PATH=/bin"]));
        assert_eq!(config["Entrypoint"], serde_json::json!([format!("/bin/{}", image.summary.name)]));
        assert_eq!(config["Labels"]["org.opencontainers.image.licenses"], "MIT");
        assert_eq!(config["Labels"]["org.opencontainers.image.revision"], "abc");
    }
}

#[test]
fn entries_are_sorted_of_one_age_and_nobody_elses_to_write() {
    let images = &*PACKED;
    let layers = layers(&images[0]);
    let archives = layers.iter().map(|layer| entries(layer)).chain([entries(&images[0].bytes)]);
    for entry in archives.inspect(|entries| assert!(entries.is_sorted_by(|one, next| one.path < next.path))).flatten() {
        let owner = if entry.path == "data/" { 1000 } else { 0 };
        assert_eq!((entry.modified, entry.owner, entry.group), (0, owner, owner), "{}", entry.path);
        assert_eq!(entry.kind == b'5', entry.path.ends_with('/'), "{}", entry.path);
        let mode = if entry.path == "tmp/" { 0o1777 } else { entry.mode & !0o022 };
        assert_eq!(entry.mode, mode, "{}", entry.path);
    }
}

#[test]
fn the_shared_layer_has_what_a_program_needs_to_start() {
    let images = &*PACKED;
    let shared = entries(&layers(&images[0])[0]);
    let paths: Vec<&str> = shared.iter().map(|entry| entry.path.as_str()).collect();
    for path in ["bin/pocket-probe", "data/", "tmp/", "etc/passwd", "etc/group", "etc/nsswitch.conf"] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert!(paths.contains(&"etc/ssl/certs/ca-certificates.crt"), "{paths:?}");
    let said = done(Command::new("ldd").arg(env!("CARGO_BIN_EXE_pocket-spec"))).stdout;
    let libc =
        String::from_utf8_lossy(&said).split_whitespace().find(|word| word.contains("/libc.so")).map(str::to_owned);
    if let Some(libc) = libc {
        assert!(paths.contains(&libc.trim_start_matches('/')), "{libc} in {paths:?}");
    }
    let own = entries(&layers(&images[0])[1]);
    assert_eq!(own.last().map(|entry| entry.path.clone()), Some(format!("bin/{}", images[0].summary.name)));
}

#[test]
fn a_program_that_is_not_built_is_named_with_the_command_that_builds_it() {
    let folder = programs();
    fs::remove_file(folder.path().join("pocket-miner")).expect("removed");
    let refusal = refusal(&source(folder.path()));
    for part in ["no pocket-miner in", "cargo build --release --workspace --bins", "make images"] {
        assert!(refusal.contains(part), "{part} in {refusal}");
    }
}

#[test]
fn a_file_that_is_no_program_is_refused() {
    let folder = programs();
    write(&folder.path().join("pocket-miner"), b"#!/bin/sh\necho this is longer than a header\n", "755");
    let refusal = refusal(&source(folder.path()));
    assert!(refusal.contains("pocket-miner cannot be packed: it is no Linux program"), "{refusal}");
}

#[test]
fn certificates_that_are_nowhere_are_told_with_the_places() {
    let folder = programs();
    let places = vec![folder.path().join("one.pem"), folder.path().join("two.pem")];
    let refusal = refusal(&Source { certificates: places, ..source(folder.path()) });
    for part in ["one.pem, ", "two.pem", "ca-certificates", "--certificates"] {
        assert!(refusal.contains(part), "{part} in {refusal}");
    }
}

#[test]
fn nothing_is_written_when_something_cannot_be_packed() {
    let folder = programs();
    fs::remove_file(folder.path().join(PROBE)).expect("removed");
    let out = folder.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pocket-spec"));
    command.arg("--root").arg(root()).arg("images").arg("--from").arg(folder.path()).arg("--out").arg(&out);
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(!fs::exists(&out));
}
