//! Keys in a device's memory, within a number of bytes; the one used longest ago goes first.

pub(super) struct Held<K> {
    capacity: usize,
    /// Number, key and bytes, the one used last at the end.
    keys: Vec<(u64, K, usize)>,
}

impl<K> Held<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, keys: Vec::new() }
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&K> {
        let place = self.keys.iter().position(|(held, ..)| *held == number)?;
        let used = self.keys.remove(place);
        self.keys.push(used);
        self.keys.last().map(|(_, key, _)| key)
    }

    /// Drops keys until so many more bytes fit. A key larger than the capacity is alone.
    pub(super) fn make_room(&mut self, bytes: usize) {
        while !self.keys.is_empty()
            && self.keys.iter().map(|(.., bytes)| bytes).sum::<usize>() + bytes > self.capacity
        {
            self.keys.remove(0);
        }
    }

    pub(super) fn insert(&mut self, number: u64, key: K, bytes: usize) {
        self.keys.push((number, key, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_used_longest_ago_makes_room() {
        let mut held = Held::new(30);
        for number in 0..3 {
            held.make_room(10);
            held.insert(number, (), 10);
        }
        assert!(held.get(0).is_some());
        held.make_room(15);
        held.insert(3, (), 15);
        let present = [0, 1, 2, 3].map(|number| held.get(number).is_some());
        assert_eq!(present, [true, false, false, true]);
        held.make_room(100);
        held.insert(4, (), 100);
        assert!(held.get(4).is_some() && held.get(0).is_none());
    }
}
