//! What is known of a container on disk: intent, state.json, and the status that follows from them.
