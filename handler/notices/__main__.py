from ..commands.notices import main

raise SystemExit(main())
