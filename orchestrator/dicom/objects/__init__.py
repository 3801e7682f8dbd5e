"""What all written objects share: concepts, identity, UIDs, masks, rules and storage; no single object type."""
