//! A growing array that never moves what it holds and wastes at most part of one chunk.
//!
//! A plain `Vec` doubles: at its worst moment it holds twice what it needs, and every doubling copies all of it,
//! which would break the memory budget of a leaf and stall the insert that hits it.

/// Items in a full chunk. Small arrays grow by doubling inside the first chunk, so a short session costs little.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 12;

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
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(item),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                self.chunks.push(chunk);
            }
            None => self.chunks.push(vec![item]),
        }
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
    fn waste_is_less_than_a_chunk() {
        let mut arena = Arena::new();
        for item in 0..10 * CHUNK + 1 {
            arena.push(item);
        }
        assert!(arena.bytes() < (11 * CHUNK) * size_of::<usize>() + 1024, "{} bytes", arena.bytes());
    }
}
