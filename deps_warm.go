//go:build depswarm

package vibesdk

import (
	_ "cloud.google.com/go/firestore"
	_ "github.com/anishathalye/porcupine"
	_ "github.com/evanphx/json-patch/v5"
	_ "github.com/go-redis/redis_rate/v10"
	_ "github.com/redis/go-redis/v9"
	_ "github.com/tidwall/gjson"
)
