//! The stretch of a string in which every byte stands for itself.

/// The first quote, backslash or control character from `at` on, eight bytes at a time.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of each zero byte; what stands above the lowest one may be wrong, so only that one is used.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let quotes = ONES * u64::from(quote);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hits = zeros(word ^ quotes) | zeros(word ^ (ONES * u64::from(b'\\'))) | control;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte == quote || *byte == b'\\' || *byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}
