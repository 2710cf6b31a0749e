//! What holds for all questions.
