// The whole of Boost.JSON in one object: the plugin is one static file without shared libraries.
#include <boost/json/src.hpp>
