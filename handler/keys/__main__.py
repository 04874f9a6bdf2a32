from ..commands.keys import main

raise SystemExit(main())
