//! The page of this repository, with something laid over it.

use std::path::{Path, PathBuf};

use pocket_spec::emit::{self, File};
use pocket_spec::lock::Lock;
use pocket_spec::page::{Overlay, Page};
use pocket_spec::plan::Plan;
use pocket_spec::refusal::Refusal;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// An overlay as `local.ncl` would be.
pub(crate) fn local(text: &str) -> Overlay {
    Overlay::Text("local.ncl".to_owned(), text.to_owned())
}

/// The plan of the page with an overlay, with keys derived for it.
pub(crate) fn plan(overlay: &Overlay) -> Plan {
    let page = Page::read(&root(), overlay).unwrap_or_else(|error| panic!("{error:#}"));
    let lock = Lock::derive(&page.spec).expect("keys can be derived");
    Plan::of(&page, &lock).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What is rendered of the page with an overlay, as if it were everybody's.
pub(crate) fn files(overlay: &Overlay) -> Vec<File> {
    let plan = plan(overlay);
    emit::all(&plan, &plan)
}

/// Why the page with an overlay is refused.
pub(crate) fn refusal(overlay: &str) -> Refusal {
    let read = Page::read(&root(), &local(overlay)).and_then(|page| {
        let lock = Lock::derive(&page.spec)?;
        Plan::of(&page, &lock)
    });
    let error = read.err().unwrap_or_else(|| panic!("this must be refused: {overlay}"));
    error.downcast::<Refusal>().unwrap_or_else(|error| panic!("not a refusal but: {error:#}"))
}
