//! Objects that do not fit in a cell, by number.

/// Objects by number, with what it takes to undo that they came or went.
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
    born: Vec<u32>,
    dead: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
            born: Vec::new(),
            dead: Vec::new(),
        }
    }
}

/// The number that stands in a cell's word; None when there is none yet.
#[inline]
pub(crate) fn number(word: u64) -> Option<u32> {
    u32::try_from(word).ok()?.checked_sub(1)
}

impl<T> Slab<T> {
    /// Keeps an object and gives the word that stands for it.
    pub(crate) fn insert(&mut self, item: T) -> u64 {
        let number = match self.free.pop() {
            Some(number) => {
                self.items[number as usize] = Some(item);
                number
            }
            None => {
                self.items.push(Some(item));
                u32::try_from(self.items.len() - 1).unwrap_or(u32::MAX - 1)
            }
        };
        self.born.push(number);
        u64::from(number) + 1
    }

    /// The object that a word stands for.
    #[inline]
    pub(crate) fn get(&self, word: u64) -> Option<&T> {
        self.items.get(number(word)? as usize)?.as_ref()
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, word: u64) -> Option<&mut T> {
        self.items.get_mut(number(word)? as usize)?.as_mut()
    }

    /// The object is gone when this is accepted.
    pub(crate) fn free(&mut self, word: u64) {
        self.dead.extend(number(word));
    }

    /// What came and went stays so; gives what went to `gone`.
    #[inline]
    pub(crate) fn accept(&mut self, mut gone: impl FnMut(T)) {
        self.born.clear();
        for number in self.dead.drain(..) {
            if let Some(item) = self.items[number as usize].take() {
                gone(item);
                self.free.push(number);
            }
        }
    }

    /// What came goes, what went is back; gives what goes to `gone`.
    pub(crate) fn reject(&mut self, mut gone: impl FnMut(T)) {
        self.dead.clear();
        for number in self.born.drain(..).rev() {
            if let Some(item) = self.items[number as usize].take() {
                gone(item);
                self.free.push(number);
            }
        }
    }

    /// Bytes of its own lists.
    pub(crate) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<Option<T>>() + self.free.capacity() * 4
    }
}
