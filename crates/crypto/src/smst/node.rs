//! What the trie is made of: references to leaves and branches, and the two halves of a branch.

use super::{Digest, PATH_BITS, Path};

/// A leaf or a branch: a slot and one bit that says which of the two living there is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u32);

impl Node {
    const BRANCH: u32 = 1 << 31;

    pub(crate) const fn leaf(slot: u32) -> Self {
        Self(slot)
    }

    pub(crate) const fn branch(slot: u32) -> Self {
        Self(slot | Self::BRANCH)
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 & !Self::BRANCH
    }

    pub(crate) const fn as_branch(self) -> Option<u32> {
        if self.0 & Self::BRANCH == 0 { None } else { Some(self.slot()) }
    }
}

/// From whom a branch has the path of the extension above it, as the reference writes it into sibling data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the leaf of its own slot.
    Own,
    /// From the branch on its left: it split that branch's extension.
    Left,
    /// From the branch on its right.
    Right,
}

impl Origin {
    pub(crate) const fn toward(right: bool) -> Self {
        if right { Self::Right } else { Self::Left }
    }
}

/// Where a branch leads. Ten bytes, packed: the walk of every insert goes through some twenty of them.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(2))]
pub(crate) struct Link {
    left: u32,
    right: u32,
    parts_at: u8,
    state: u8,
}

impl Link {
    /// Set while the digest of the branch is out of date.
    const SOILED: u8 = 1;
    const FROM_LEFT: u8 = 2;
    const FROM_RIGHT: u8 = 4;

    /// Stands in the slot of the first leaf, which came without a branch. Nothing points at it.
    pub(crate) const NONE: Self = Self { left: 0, right: 0, parts_at: 0, state: 0 };

    /// Links a branch at bit `at` that has `new` on the given side and `old` on the other.
    pub(crate) fn new(at: u16, side: bool, old: Node, new: Node, origin: Origin) -> Self {
        debug_assert!(at < PATH_BITS);
        let (left, right) = if side { (old, new) } else { (new, old) };
        let state = match origin {
            Origin::Own => 0,
            Origin::Left => Self::FROM_LEFT,
            Origin::Right => Self::FROM_RIGHT,
        };
        let parts_at = u8::try_from(at).expect("paths that differ do so in one of their 256 bits");
        Self { left: left.0, right: right.0, parts_at, state: state | Self::SOILED }
    }

    /// The bit that decides between left and right.
    pub(crate) fn parts_at(self) -> u16 {
        u16::from(self.parts_at)
    }

    /// Whether a path goes right here.
    pub(crate) fn side_of(self, path: &Path) -> bool {
        path[usize::from(self.parts_at / 8)] & (0x80 >> (self.parts_at % 8)) != 0
    }

    pub(crate) const fn child(self, right: bool) -> Node {
        Node(if right { self.right } else { self.left })
    }

    pub(crate) fn set_child(&mut self, right: bool, node: Node) {
        if right {
            self.right = node.0;
        } else {
            self.left = node.0;
        }
    }

    pub(crate) const fn origin(self) -> Origin {
        if self.state & Self::FROM_LEFT != 0 {
            Origin::Left
        } else if self.state & Self::FROM_RIGHT != 0 {
            Origin::Right
        } else {
            Origin::Own
        }
    }

    pub(crate) const fn is_soiled(self) -> bool {
        self.state & Self::SOILED != 0
    }

    pub(crate) fn soil(&mut self) {
        self.state |= Self::SOILED;
    }

    pub(crate) fn clean(&mut self) {
        self.state &= !Self::SOILED;
    }
}

/// The digest of a branch as its parent sees it, packed to 44 bytes: a count of leaves fits 32 bits here.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
pub(crate) struct BranchDigest {
    hash: [u8; 32],
    sum: u64,
    count: u32,
}

impl BranchDigest {
    pub(crate) fn new(digest: Digest) -> Self {
        let count = u32::try_from(digest.count).expect("a trie holds fewer than 2^32 leaves");
        Self { hash: digest.hash, sum: digest.sum, count }
    }

    pub(crate) fn get(self) -> Digest {
        Digest { hash: self.hash, sum: self.sum, count: u64::from(self.count) }
    }
}
