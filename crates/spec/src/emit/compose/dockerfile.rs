//! The images of our own programs, built inside Docker: for a machine whose own binaries are not Linux', and for a plain
//! `docker compose up`.

use std::collections::BTreeSet;

use super::SOURCES;
use crate::emit::{File, NOTICE};
use crate::images::{GROUP, NAMES, PASSWD, PROBE, USER};
use crate::plan::Plan;

/// Where it is rendered.
pub(super) const RENDERED: &str = "tilt/docker/Dockerfile";

/// Renders the Dockerfile, and what of the repository it may see: the sources alone, so that nothing else rebuilds.
pub(super) fn emit(plan: &Plan) -> Vec<File> {
    let binaries: BTreeSet<&str> = plan.images.values().filter_map(|image| image.binary.as_deref()).collect();
    let seen = format!("!{}\n", SOURCES.join("\n!"));
    vec![
        File::new(RENDERED, dockerfile(&binaries)),
        File::new(format!("{RENDERED}.dockerignore"), format!("# {NOTICE}\n*\n{seen}**/target\n")),
    ]
}

fn dockerfile(binaries: &BTreeSet<&str>) -> String {
    let wanted: Vec<String> = binaries.iter().chain([&PROBE]).map(|binary| format!("--bin {binary}")).collect();
    let built: Vec<String> = binaries.iter().chain([&PROBE]).map(|binary| format!("target/dist/{binary}")).collect();
    let mut text = format!(
        r"# {NOTICE}
# One stage builds every program; one image for each holds it, the client of its health check, the C library and the
# certificates, and nothing else: no shell, nobody but user 1000.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --workspace {wanted} && \
    mkdir /built && cp {built} /built/
RUN mkdir -p /image/bin /image/data /image/etc/ssl/certs /image/tmp && \
    ldd /built/* | grep -o '/[^ ]*\.so[^ ]*' | sort -u | xargs cp --dereference --parents --target-directory=/image && \
    cp /built/{PROBE} /image/bin/ && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    echo '{passwd}' > /image/etc/passwd && \
    echo '{group}' > /image/etc/group && \
    echo '{names}' > /image/etc/nsswitch.conf && \
    chown {USER}:{USER} /image/data && chmod 1777 /image/tmp

FROM scratch AS base
COPY --from=build /image /
ENV PATH=/bin
USER {USER}:{USER}
",
        wanted = wanted.join(" "),
        built = built.join(" "),
        passwd = PASSWD.trim_end(),
        group = GROUP.trim_end(),
        names = NAMES.trim_end(),
    );
    for binary in binaries {
        text.extend([format!(
            "\nFROM base AS {binary}\nCOPY --from=build /built/{binary} /bin/\nENTRYPOINT [\"/bin/{binary}\"]\n"
        )]);
    }
    text
}
