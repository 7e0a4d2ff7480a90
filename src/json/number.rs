//! Numbers as JavaScript reads and writes them.

use crate::content::Number;

/// Below this, an `f64` distinguishes all decimals with this number of digits.
const DISTINCT: u64 = 1_000_000_000_000_000;

/// The powers of ten that an `f64` holds exactly, as far as they are needed.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// The number that `text` stands for; none if it is beyond `f64`. `text` is a number by JSON's grammar.
#[inline]
pub(super) fn parse_number(text: &str) -> Option<Number> {
    match short_decimal(text.as_bytes()) {
        Some(number) => Number::new(number),
        None => text.parse().ok().and_then(Number::new),
    }
}

/// A number of up to 15 digits without an exponent. Its digits and the power of ten are exact as `f64`, so one division
/// of the two is rounded correctly.
fn short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if text.len() > 16 {
        return None;
    }
    let mut digits = 0_u64;
    let mut decimals = None;
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                decimals = decimals.map(|decimals| decimals + 1);
            }
            b'.' => decimals = Some(0),
            _ => return None,
        }
    }
    if digits >= DISTINCT {
        return None;
    }
    let number = digits as f64 / POWERS.get(decimals.unwrap_or(0))?;
    Some(if negative { -number } else { number })
}

/// Writes a finite number as JavaScript does: `1`, `1e+21`, and `0` for `-0`.
pub(super) fn write_number(out: &mut String, number: f64) {
    /// Four decimals are enough for prices and measures.
    const SCALE: u64 = 10_000;
    let positive = number.abs();
    let scaled = (positive * SCALE as f64).round();
    // A decimal with so few digits that rounds to the number is the shortest one, apart from zeros at its end.
    if scaled >= DISTINCT as f64 || scaled / SCALE as f64 != positive {
        out.push_str(ryu_js::Buffer::new().format_finite(number));
        return;
    }
    let scaled = scaled as u64;
    if number < 0.0 {
        out.push('-');
    }
    let mut buffer = itoa::Buffer::new();
    out.push_str(buffer.format(scaled / SCALE));
    let fraction = scaled % SCALE;
    if fraction != 0 {
        out.push('.');
        // A leading one preserves the zeros.
        let digits = buffer.format(SCALE + fraction);
        out.push_str(digits[1..].trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: f64) -> String {
        let mut out = String::new();
        write_number(&mut out, number);
        out
    }

    proptest! {
        #[test]
        fn short_ways_write_and_read_as_the_long_ones_do(
            any in any::<f64>(), whole in any::<i64>(), digits in 0..10_u32, cut in 0..20_usize
        ) {
            let decimal = whole as f64 / 10_f64.powi(i32::try_from(digits).unwrap());
            let small = (whole % 1_000_000) as f64 / 10_f64.powi(i32::try_from(digits).unwrap());
            for number in [any, decimal, small, whole as f64, small.next_up(), 1.0 / small] {
                if !number.is_finite() {
                    continue;
                }
                let text = written(number);
                prop_assert_eq!(&*text, ryu_js::Buffer::new().format_finite(number).to_owned());
                prop_assert_eq!(parse_number(&text).unwrap().get(), number);
                let text = format!("{number:.cut$}");
                prop_assert_eq!(parse_number(&text).unwrap().get().to_bits(), text.parse::<f64>().unwrap().to_bits());
            }
        }
    }

    #[test]
    fn the_edges_of_the_short_ways() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-0.5, "-0.5"),
            (0.0001, "0.0001"),
            (0.00001, "0.00001"),
            (1e-7, "1e-7"),
            (99_999_999_999.999_9, "99999999999.9999"),
            (100_000_000_000.0, "100000000000"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (1e21, "1e+21"),
            (1.05, "1.05"),
        ] {
            assert_eq!(written(number), text);
            assert_eq!(parse_number(text).unwrap().get(), number);
        }
        assert_eq!(parse_number("1e999"), None);
        assert_eq!(parse_number("-0").unwrap().get().to_bits(), (-0.0_f64).to_bits());
    }
}
