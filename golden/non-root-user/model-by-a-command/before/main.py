import stanza
