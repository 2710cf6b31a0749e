//! What a panic does: the process ends, so that whoever started it starts it anew with everything in order. A task that
//! died alone would leave a watch or a part of the operator silent for ever.
//!
//! The one exception is what somebody else's input is given to ([`contained`]): one policy that the evaluator does not
//! live through must not take the operator away from everybody else.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

/// With which the process ends, as Rust's own programs do after a panic of their main thread.
const EXIT_CODE: i32 = 101;

thread_local! {
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic that is not [`contained`] is logged, in the form of the logs, and ends the process.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let message = message(panic);
        let location = panic.location().map(ToString::to_string);
        let location = location.unwrap_or_default();
        if IS_CONTAINED.get() {
            tracing::error!(
                message,
                location,
                "panicked; what it was about is left undecided"
            );
            return;
        }
        // Empty unless RUST_BACKTRACE asks for it.
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(message, location, %backtrace, "panicked, which is a defect; this operator ends, and can start anew");
        std::process::exit(EXIT_CODE);
    }));
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    panic.payload_as_str().unwrap_or_default().to_owned()
}

/// Does something, and tells whether it came to its end. A panic in it ends nothing else.
///
/// # Errors
/// When it panicked, which is logged.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let before = IS_CONTAINED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(before);
    done.map_err(|_| Panicked)
}

/// Something panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked, which is a defect")]
pub struct Panicked;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_contained_says_so_and_others_go_on() {
        assert_eq!(contained(|| 7), Ok(7));
        let inner = contained(|| {
            let within: Result<(), _> = contained(|| panic!("the inner one"));
            assert_eq!(within, Err(Panicked));
            IS_CONTAINED.get()
        });
        assert_eq!(inner, Ok(true));
        assert!(!IS_CONTAINED.get());
    }
}
