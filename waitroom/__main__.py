"""`python -m waitroom`: the same as the `waitroom` command."""

from waitroom.cli.main import main

if __name__ == "__main__":
    main(prog_name="waitroom")
