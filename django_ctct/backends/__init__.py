"""One module per wire: ``atom_v1`` and, without a wire, ``memory``. ``base`` has the verbs, ``http`` the manners."""
