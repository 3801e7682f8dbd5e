"""Parts that all written objects share: concepts, identity, UIDs, masks, rules, storage. No single object type."""
