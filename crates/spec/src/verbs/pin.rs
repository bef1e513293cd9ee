//! `pin`: writes the digests of images that are taken from a registry. Only a digest that was fetched is written.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use pocket_runtime::fs;

use crate::page::{CONFIG, Overlay, Page};

/// Asks the registries, by way of docker, and writes what they say into the page. Returns a line for each image.
///
/// # Errors
/// If docker cannot be run or a registry does not answer; then nothing is written.
pub fn pin(root: &Path) -> anyhow::Result<Vec<String>> {
    let page = Page::read(root, &Overlay::None)?;
    let mut found = Vec::new();
    for (name, image) in &page.spec.images {
        let (Some(repo), Some(tag)) = (&image.repo, &image.tag) else { continue };
        let digest = fetch(&format!("{repo}:{tag}"))?;
        found.push((name.clone(), tag.clone(), digest));
    }
    let path = root.join(CONFIG);
    let mut text = fs::read_to_string(&path)?;
    let mut lines = Vec::new();
    for (name, tag, digest) in found {
        text = written(&text, &name, &tag, &digest)
            .with_context(|| format!("config.ncl has no line of image `{name}`"))?;
        lines.push(format!("{name} {digest}"));
    }
    fs::write_atomic(&path, text.as_bytes())?;
    Ok(lines)
}

fn fetch(reference: &str) -> anyhow::Result<String> {
    let output = Command::new("docker")
        .args(["buildx", "imagetools", "inspect", reference, "--format", "{{.Manifest.Digest}}"])
        .output()
        .context("docker cannot be run; digests are asked of registries by way of it")?;
    let digest = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    anyhow::ensure!(
        output.status.success() && digest.starts_with("sha256:"),
        "no registry gave a digest of {reference}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(digest)
}

/// The page's text with the digest after the tag of an image, on the image's line.
fn written(text: &str, name: &str, tag: &str, digest: &str) -> Option<String> {
    let images = text.find("\n  images = {")?;
    let line = text[images..].find(&format!("\n    {name} = {{"))? + images + 1;
    let end = text[line..].find('\n')? + line;
    let said = format!("tag = \"{tag}\"");
    let tag_end = text[line..end].find(&said)? + line + said.len();
    let rest = &text[tag_end..end];
    let rest = rest.strip_prefix(", digest = \"").and_then(|rest| rest.split_once('"')).map_or(rest, |(_, rest)| rest);
    Some(format!("{}, digest = \"{digest}\"{rest}{}", &text[..tag_end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_behind_the_tag_and_replaces_an_old_one() {
        let page = "{\n  images = {\n    redis = { repo = \"redis\", tag = \"8\" },\n  },\n}\n";
        let once = written(page, "redis", "8", "sha256:aa").expect("the line is there");
        assert!(once.contains("tag = \"8\", digest = \"sha256:aa\" },"), "{once}");
        let twice = written(&once, "redis", "8", "sha256:bb").expect("the line is there");
        assert_eq!(twice, once.replace("aa", "bb"));
    }

    #[test]
    fn an_image_that_is_not_there_is_not_written() {
        assert_eq!(written("{\n  images = {\n  },\n}\n", "redis", "8", "sha256:aa"), None);
    }
}
