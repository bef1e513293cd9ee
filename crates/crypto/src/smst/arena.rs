//! A growing array that never moves more than a chunk and wastes at most an eighth of one.
//!
//! A plain `Vec` doubles: at its worst moment it holds twice what it needs, and every doubling copies all of it,
//! which would break the memory budget of a leaf and stall the insert that hits it.

/// Items in a full chunk.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 11;

/// Every chunk but the first starts with room for so many items; all of them grow by an eighth.
const FIRST_ITEMS: usize = CHUNK / 8;
const FEWEST_ITEMS: usize = 4;

/// Items addressed by the order in which they were pushed.
#[derive(Debug, Clone)]
pub(crate) struct Arena<T> {
    chunks: Vec<Vec<T>>,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// Makes room for `items` without reserving more than one chunk ahead of use.
    pub(crate) fn with_capacity(items: usize) -> Self {
        let mut chunks = Vec::with_capacity(items.div_ceil(CHUNK));
        if items > 0 {
            chunks.push(Vec::with_capacity(items.min(CHUNK)));
        }
        Self { chunks }
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(crate) fn push(&mut self, item: T) {
        let full = self.chunks.last().is_none_or(|last| last.len() == CHUNK);
        if full {
            let room = if self.chunks.is_empty() { FEWEST_ITEMS } else { FIRST_ITEMS };
            self.chunks.push(Vec::with_capacity(room));
        }
        let last = self.chunks.last_mut().expect("a chunk with room was just pushed");
        if last.len() == last.capacity() {
            last.reserve_exact((last.len() / 8).max(FEWEST_ITEMS).min(CHUNK - last.len()));
        }
        last.push(item);
    }

    /// Bytes held on the heap.
    pub(crate) fn bytes(&self) -> usize {
        let items: usize = self.chunks.iter().map(Vec::capacity).sum();
        items * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> std::ops::Index<u32> for Arena<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        &self.chunks[(at >> CHUNK_BITS) as usize][at as usize % CHUNK]
    }
}

impl<T> std::ops::IndexMut<u32> for Arena<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[(at >> CHUNK_BITS) as usize][at as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_where_they_were_pushed_across_chunks() {
        let mut arena = Arena::with_capacity(3);
        let items = u32::try_from(3 * CHUNK + 5).expect("small");
        for item in 0..items {
            assert_eq!(arena.len(), item as usize);
            arena.push(item);
        }
        arena[7] = 70;
        assert_eq!(arena[7], 70);
        assert!((0..items).filter(|&at| at != 7).all(|at| arena[at] == at));
    }

    #[test]
    fn waste_is_an_eighth_of_a_chunk_at_most() {
        let mut arena = Arena::new();
        for item in 1..=10 * CHUNK + 1 {
            arena.push(item);
            let table = 16 * size_of::<Vec<usize>>();
            let most = (item + (item / 8).clamp(FEWEST_ITEMS, FIRST_ITEMS)) * size_of::<usize>() + table;
            assert!(arena.bytes() <= most, "{} bytes for {item} items", arena.bytes());
        }
    }
}
