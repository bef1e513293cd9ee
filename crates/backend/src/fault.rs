//! Failing on request.

use std::str::FromStr;
use std::time::Duration;

/// Longest delay and largest filler that can be asked for, so that a test's slip cannot exhaust the machine.
const DELAY_MAX: Duration = Duration::from_mins(10);
const HUGE_BYTES_MAX: usize = 1 << 30;

/// One way to fail.
///
/// As text: `delay:250` (milliseconds, then a good answer), `status:503`, `hang` (no answer, ever), `truncated` (half a
/// body), `huge:1000000` (a good answer with a filler of that many bytes), `reset` (the connection breaks).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers well, this much later.
    Delay(Duration),
    /// Answers with this status and a plain text.
    Status(u16),
    /// Never answers.
    Hang,
    /// Promises a body, gives half of it and breaks off.
    Truncated,
    /// Answers well, with a filler of this many bytes.
    Huge(usize),
    /// Breaks the connection instead of answering.
    Reset,
}

/// A fault that does not exist.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault: use delay:MS, status:CODE, hang, truncated, huge:BYTES or reset")]
pub struct ParseFaultError(String);

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseFaultError(text.to_owned());
        let (kind, value) = text.split_once([':', '=']).map_or((text, None), |(kind, value)| (kind, Some(value)));
        let number = || value.and_then(|value| value.parse::<u64>().ok()).ok_or_else(wrong);
        match kind {
            "delay" => Ok(Self::Delay(Duration::from_millis(number()?).min(DELAY_MAX))),
            "status" => {
                let status = u16::try_from(number()?).ok().filter(|status| (100..=599).contains(status));
                status.map(Self::Status).ok_or_else(wrong)
            }
            "hang" => Ok(Self::Hang),
            "truncated" => Ok(Self::Truncated),
            "huge" => Ok(Self::Huge(usize::try_from(number()?).map_err(|_| wrong())?.min(HUGE_BYTES_MAX))),
            "reset" => Ok(Self::Reset),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_text() {
        assert_eq!("delay:250".parse(), Ok(Fault::Delay(Duration::from_millis(250))));
        assert_eq!("status=503".parse(), Ok(Fault::Status(503)));
        assert_eq!("huge:10".parse(), Ok(Fault::Huge(10)));
        assert_eq!("hang".parse(), Ok(Fault::Hang));
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in ["", "delay", "delay:x", "status:99", "status:700", "explode"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
