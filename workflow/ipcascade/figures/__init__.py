"""The paper's figures, one module each; no figure knows where its file stands."""
