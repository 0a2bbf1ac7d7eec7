"""The line's home: the embedded Valkey, the Lua library that is the whole line algorithm, and its batching client."""
